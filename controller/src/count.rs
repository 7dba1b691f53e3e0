//! Counts the rollouts in flight when this replica begins to lead.
//!
//! The replica that led before may have begun some that our watches have not told of yet, and the budget holds for all
//! replicas together.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use kube::{Api, Client, Resource as _, api::ListParams, core::DeserializeGuard};
use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time;
use tracing::debug;

use crate::{
    context::Context,
    health::Watch,
    identity::Identity,
    keys,
    names::Names,
    watch,
    workload::{Kind, View, Workload},
};

/// Objects in one page of a list.
const PAGE: u32 = 100;

/// After which a page counts as lost.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon a failed list is tried again, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Yields each time that this replica has become the leader and knows what is in flight.
pub(crate) fn beginnings(
    client: &Client,
    kind: Kind,
    watch: Watch,
    context: Arc<Context>,
) -> impl Stream<Item = ()> + Send + use<> {
    let api = watch::api::<DeserializeGuard<View>>(client, kind, &watch);
    context.leadership.beginnings().then(move |()| {
        let (api, watch, context) = (api.clone(), watch.clone(), Arc::clone(&context));
        async move { count(&api, kind, &watch, &context).await }
    })
}

/// What the watch or a list shows of a workload counts if it is a rollout of ours.
pub(crate) fn note(workload: &Workload, identity: &Identity, context: &Context) {
    let rolled_out = workload.last_rollout(context.restarted_at);
    let in_flight = workload.progress().is_in_flight();
    context.budget.seen(identity, rolled_out, in_flight);
}

async fn count(api: &Api<DeserializeGuard<View>>, kind: Kind, watch: &Watch, context: &Context) {
    if !context.budget.is_limited() {
        return;
    }
    let term = context.leadership.terms();
    let still = || context.leadership.leads() && context.leadership.terms() == term;
    let mut failures = 0;
    while still() {
        match list(api, kind, context).await {
            Ok(()) => break,
            // Then no replica rolls them out.
            Err(Some(kube::Error::Api(status)))
                if status.is_forbidden() || status.is_not_found() =>
            {
                break;
            }
            Err(error) => {
                debug!(kind = kind.name(), ?error, "cannot count what is in flight");
                failures += 1;
                time::sleep(RETRY.delay(failures, schedule::seed(kind.name()))).await;
            }
        }
    }
    context.budget.counted(watch, still);
}

/// Lists the selected workloads as they are now, not as a cache knows them; an error of nothing is a time-out.
async fn list(
    api: &Api<DeserializeGuard<View>>,
    kind: Kind,
    context: &Context,
) -> Result<(), Option<kube::Error>> {
    let mut parameters = ListParams::default().labels(keys::SELECTOR).limit(PAGE);
    let mut names = Names::default();
    loop {
        let page = time::timeout(PAGE_TIMEOUT, api.list(&parameters)).await;
        let page = page.map_err(|_| None)?.map_err(Some)?;
        let continues = page.metadata.continue_;
        for view in page.items.into_iter().filter_map(|object| object.0.ok()) {
            let identity = Identity::of(kind, view.meta(), &mut names);
            note(&view.of(kind), &identity, context);
        }
        match continues.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}
