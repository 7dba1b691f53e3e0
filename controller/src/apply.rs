//! Writes a rollout to the API server: one merge patch, and nothing else ever.

use std::time::Duration;

use jiff::{Timestamp, Unit};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams},
};
use kube_autorollout_core::{annotations, record::Record};
use serde_json::json;
use tokio::time::{self, Instant};

use crate::{
    keys,
    workload::{View, Workload},
};

/// After which a patch counts as lost; whether it was taken shows at the next look.
const PATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// What became of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The workload has this generation now.
    Patched {
        /// Zero where the API server does not tell.
        generation: i64,
    },
    /// Somebody else changed the workload since it was observed, so it has to be decided again.
    Conflict,
}

/// Why a patch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused it.
    #[error("the API server refused the patch")]
    Refused(#[source] kube::Error),
    /// The API server did not answer in time.
    #[error("the patch timed out")]
    Timeout,
}

/// Rolls the workload out as it was observed: a `resourceVersion` in the patch makes the API server refuse it when the
/// workload has changed since.
///
/// # Errors
///
/// [`Error`] when the patch was refused for another reason than a change in between.
pub(crate) async fn rollout(
    client: &Client,
    workload: &Workload,
    record: &Record,
    restarted_at: &str,
    now: Timestamp,
    end: Option<Instant>,
) -> Result<Applied, Error> {
    let kind = &workload.kind;
    let api: Api<View> = Api::namespaced_with(client.clone(), workload.namespace(), kind);
    let body = json!({
        "metadata": { "resourceVersion": workload.meta().resource_version },
        "spec": { "template": { "metadata": { "annotations": {
            restarted_at: instant(now),
            annotations::DIGESTS: record.to_string(),
        }}}},
    });
    let parameters = PatchParams {
        field_manager: Some(keys::NAME.to_owned()),
        ..PatchParams::default()
    };
    let name = workload.meta().name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(body);
    let timeout = Instant::now() + PATCH_TIMEOUT;
    let timeout = end.map_or(timeout, |end| end.min(timeout));
    match time::timeout_at(timeout, api.patch(name, &parameters, &patch)).await {
        Ok(Ok(patched)) => Ok(Applied::Patched {
            generation: patched.meta().generation.unwrap_or(0),
        }),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Ok(Applied::Conflict),
        Ok(Err(error)) => Err(Error::Refused(error)),
        Err(_) => Err(Error::Timeout),
    }
}

/// Whether the workload may be rolling out: it does not if the API server has said no.
pub(crate) const fn may_be_taken(applied: &Result<Applied, Error>) -> bool {
    !matches!(
        applied,
        Ok(Applied::Conflict) | Err(Error::Refused(kube::Error::Api(_)))
    )
}

/// An instant as RFC 3339 with whole seconds, like `kubectl rollout restart` writes it.
fn instant(now: Timestamp) -> String {
    now.round(Unit::Second).unwrap_or(now).to_string()
}
