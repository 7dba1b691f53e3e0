//! Counts the rollouts in flight when this replica begins to lead.
//!
//! The replica that led before may have begun some that our watches have not told of yet, and the budget holds for all
//! replicas together.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use kube::{
    Client, Resource as _,
    api::{ListParams, Request},
};
use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time;
use tracing::debug;

use crate::{
    client::list_stream,
    constants,
    controller::context::Context,
    server::health::Watch,
    workload::identity::Identity,
    workload::interner::Names,
    workload::{Kind, View, Workload},
};

/// How soon a failed list is tried again, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Yields each time that this replica has become the leader and knows what is in flight.
pub(crate) fn beginnings(
    client: &Client,
    kind: Kind,
    watch: Watch,
    context: Arc<Context>,
) -> impl Stream<Item = ()> + Send + use<> {
    let client = client.clone();
    context.leadership.beginnings().then(move |()| {
        let (client, watch, context) = (client.clone(), watch.clone(), Arc::clone(&context));
        async move { count(&client, kind, &watch, &context).await }
    })
}

/// What the watch shows of a workload counts if it is a rollout of ours.
pub(crate) fn note(workload: &Workload, identity: &Identity, context: &Context) {
    let rolled_out = workload.last_rollout(context.restarted_at);
    let in_flight = workload.progress().is_in_flight();
    context.budget.seen(identity, rolled_out, in_flight);
}

async fn count(client: &Client, kind: Kind, watch: &Watch, context: &Context) {
    if !context.budget.is_limited() {
        return;
    }
    let term = context.leadership.terms();
    let still = || context.leadership.leads() && context.leadership.terms() == term;
    let mut failures = 0;
    while still() {
        match list(client, kind, watch, context).await {
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
    client: &Client,
    kind: Kind,
    watch: &Watch,
    context: &Context,
) -> Result<(), Option<kube::Error>> {
    let mut names = Names::default();
    let request = Request::new(View::url_path(&kind, watch.1.as_deref()));
    let request = |parameters: &ListParams| {
        let mut request = request.list(parameters)?;
        list_stream::close_after(&mut request);
        Ok(request)
    };
    let parameters = ListParams::default().labels(constants::SELECTOR);
    let counted = list_stream::all(client, request, parameters, |item| {
        // One that cannot be read is not known to be in flight
        if let Ok(view) = serde_json::from_str::<View>(item) {
            let identity = Identity::of(kind, view.meta(), &mut names);
            let workload = view.of(kind);
            let rolled_out = workload.last_rollout(context.restarted_at);
            let in_flight = workload.progress().is_in_flight();
            context
                .budget
                .listed_in_count(&identity, rolled_out, in_flight);
        }
        Ok(())
    });
    let counted = time::timeout(list_stream::TIMEOUT, counted).await;
    counted.map_err(|_| None)?.map_err(Some)
}
