//! The merge patch of a rollout: the only write to workloads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, Unit};
use kube::{
    Client, Resource as _,
    api::{Patch, PatchParams},
};
use kube_autorollout_core::{annotations, decide::Rollout, record::Record};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::{api, by_name};
use crate::{constants, workload::Workload};

/// Timeout after which the response to a patch counts as lost.
const PATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Timeout of reading a workload.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The content of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatchContent {
    pub(crate) rollout: Rollout,
    /// The time of the rollout, in milliseconds so that it is unique: a previous leader may have written the same record in
    /// the same second.
    pub(crate) at: Timestamp,
}

/// The patch was not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused the patch.
    #[error("the API server refused the patch")]
    Refused(#[source] kube::Error),
    /// The workload has another `resourceVersion`: it was changed concurrently, or an earlier patch of ours was applied.
    #[error("the API server refused the patch")]
    Conflict(#[source] kube::Error),
    /// The workload was deleted.
    #[error("the workload does not exist")]
    Gone(#[source] kube::Error),
    /// The API server itself did not respond: it may have applied the patch, or may still apply it.
    #[error("the response to the patch was lost")]
    Lost(#[source] kube::Error),
    /// As [`Lost`](Self::Lost), after a timeout.
    #[error("the patch timed out")]
    Timeout,
}

impl PatchContent {
    /// The content of the patch for a rollout at `now`.
    pub(crate) fn new(rollout: &Rollout, now: Timestamp) -> Self {
        Self {
            rollout: rollout.clone(),
            at: now.round(Unit::Millisecond).unwrap_or(now),
        }
    }

    /// Whether the workload carries it. `restarted_at` is the annotation for the time.
    pub(crate) fn is_in(&self, workload: &Workload, restarted_at: &str) -> bool {
        let template = workload.template();
        let record = template.annotation(annotations::DIGESTS);
        template.annotation(restarted_at) == Some(self.at.to_string().as_str())
            && record.and_then(Record::parse).as_ref() == Some(&self.rollout.record)
    }
}

/// Sends the patch, by the `deadline` if there is one; returns the workload's generation after it, 0 if it is not reported.
/// The patch carries the `resourceVersion`, so that the API server refuses it if the workload has changed since.
///
/// # Errors
///
/// [`Error`] when the patch was not confirmed.
pub(super) async fn send(
    client: &Client,
    workload: &Workload,
    content: &PatchContent,
    restarted_at: &str,
    deadline: Option<Instant>,
) -> Result<i64, Error> {
    let parameters = PatchParams {
        field_manager: Some(constants::NAME.to_owned()),
        ..PatchParams::default()
    };
    let name = workload.meta().name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(body(workload, content, restarted_at));
    let timeout = Instant::now() + PATCH_TIMEOUT;
    let timeout = deadline.map_or(timeout, |deadline| deadline.min(timeout));
    let api = api(client, workload);
    match time::timeout_at(timeout, api.patch(name, &parameters, &patch)).await {
        Ok(Ok(patched)) => Ok(patched.meta().generation.unwrap_or(0)),
        Ok(Err(error)) => Err(Error::new(error)),
        Err(_) => Err(Error::Timeout),
    }
}

/// The body of the patch.
fn body(workload: &Workload, content: &PatchContent, restarted_at: &str) -> Value {
    let rollout = &content.rollout;
    let mut annotations = BTreeMap::from([
        (restarted_at, Some(content.at.to_string())),
        (annotations::DIGESTS, Some(rollout.record.to_string())),
    ]);
    let attempts = (!rollout.attempts.is_empty()).then(|| rollout.attempts.to_string());
    let pins = (!rollout.pins.is_empty()).then(|| rollout.pins.to_string());
    // Null removes the annotation of an earlier rollout.
    for (key, value) in [(annotations::ATTEMPTS, attempts), (annotations::PINS, pins)] {
        if value.is_some() || workload.template().annotation(key).is_some() {
            annotations.insert(key, value);
        }
    }
    json!({
        "metadata": { "resourceVersion": workload.resource_version().map(|version| &**version) },
        "spec": { "template": { "metadata": { "annotations": annotations }}},
    })
}

impl Error {
    fn new(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.is_conflict() => Self::Conflict(error),
            kube::Error::Api(status) if status.is_not_found() => Self::Gone(error),
            kube::Error::Api(status) if (400..500).contains(&status.code) => Self::Refused(error),
            kube::Error::BuildRequest(_) => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }
}

/// Reads the workload's current object; `None` if it was deleted or is no longer selected.
///
/// # Errors
///
/// [`Unread`] on a timeout or any other failure.
pub(super) async fn read(client: &Client, workload: &Workload) -> Result<Option<Workload>, Unread> {
    let (api, parameters) = (
        api(client, workload),
        by_name(workload).labels(constants::SELECTOR),
    );
    let listed = time::timeout(READ_TIMEOUT, api.list(&parameters)).await;
    let listed = listed.map_err(|_| Unread)?.map_err(|_| Unread)?;
    let mut objects = listed.items.into_iter();
    let current = objects.find(|object| object.uid() == workload.uid());
    let current = current.map(|object| Workload::new(workload.kind, Arc::new(object)));
    current.transpose().map_err(|_| Unread)
}

/// A workload could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread;

#[cfg(test)]
mod tests {
    use kube_autorollout_core::{
        Digest,
        pins::Pins,
        record::{Attempts, Change},
    };

    use super::*;
    use crate::rollout::tests::deployment;

    fn digest() -> Digest {
        let digest = format!("sha256:{}", "a".repeat(64));
        digest.parse().expect("a digest")
    }

    fn content(pins: Pins) -> PatchContent {
        let changes = vec![Change {
            container: "app".to_owned(),
            from: None,
            to: digest(),
        }];
        let rollout = Rollout {
            record: Record::default().after(&changes, &["app".to_owned()]),
            changes,
            attempts: Attempts::default(),
            pins,
        };
        PatchContent::new(&rollout, Timestamp::UNIX_EPOCH)
    }

    fn sent(annotations: &Value, pins: Pins) -> String {
        let body = body(
            &deployment("7", annotations),
            &content(pins),
            annotations::RESTARTED_AT,
        );
        body.to_string()
    }

    #[test]
    fn without_pins_the_patch_has_no_annotation_for_them() {
        let hex = "a".repeat(64);
        let expected = format!(
            r#"{{"metadata":{{"resourceVersion":"7"}},"spec":{{"template":{{"metadata":{{"annotations":{{"kube-autorollout/digests":"{{\"app\":\"sha256:{hex}\"}}","kube-autorollout/restartedAt":"1970-01-01T00:00:00Z"}}}}}}}}}}"#
        );
        assert_eq!(sent(&json!({}), Pins::default()), expected);
        assert_eq!(sent(&json!({ "other": "1" }), Pins::default()), expected);
    }

    #[test]
    fn pins_are_written_replaced_and_removed() {
        let mut pins = Pins::default();
        pins.pin("app", "ghcr.io/team/web:main", &digest());
        let expected = format!(
            r#""kube-autorollout/pins":"{{\"app\":\"ghcr.io/team/web:main@{}\"}}""#,
            digest()
        );
        let before = json!({ "kube-autorollout/pins": "{}" });
        for annotations in [&json!({}), &before] {
            let sent = sent(annotations, pins.clone());
            assert!(sent.contains(&expected), "{sent}");
        }
        let removed = sent(&before, Pins::default());
        assert!(
            removed.contains(r#""kube-autorollout/pins":null"#),
            "{removed}"
        );
    }
}
