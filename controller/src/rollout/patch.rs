//! Writes a rollout to the API server: one merge patch, and nothing else ever.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, Unit};
use kube::{
    Api, Client, Resource as _,
    api::{ListParams, Patch, PatchParams},
};
use kube_autorollout_core::{
    annotations,
    decide::Rollout,
    pins::Pins,
    record::{Attempts, Record},
};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::{
    constants,
    workload::{Object, Workload},
};

/// After which the answer to a patch counts as lost.
const PATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// After which the API server counts as not having said how a workload is now.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What a patch writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) attempts: Attempts,
    pub(crate) pins: Pins,
    /// In milliseconds, so that it is no other patch's: a replica that led before may have written the same record within
    /// the same second.
    pub(crate) at: Timestamp,
}

/// Why there is no answer that says that the patch was taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused it.
    #[error("the API server refused the patch")]
    Refused(#[source] kube::Error),
    /// The workload has another `resourceVersion`: somebody else has changed it, or the same patch has come before.
    #[error("the API server refused the patch")]
    Conflict(#[source] kube::Error),
    /// There is no such workload any more.
    #[error("the API server does not know the workload")]
    Gone(#[source] kube::Error),
    /// There is no answer of the API server itself, so it may have taken the patch, or may take it yet.
    #[error("the answer to the patch was lost")]
    Lost(#[source] kube::Error),
    /// The same, as no answer came in time.
    #[error("the patch timed out")]
    Timeout,
}

impl Written {
    /// What a rollout writes at `now`.
    pub(crate) fn new(rollout: &Rollout, now: Timestamp) -> Self {
        Self {
            record: rollout.record.clone(),
            attempts: rollout.attempts.clone(),
            pins: rollout.pins.clone(),
            at: now.round(Unit::Millisecond).unwrap_or(now),
        }
    }

    /// Whether the workload carries it. `restarted_at` is the annotation for the instant.
    pub(crate) fn is_in(&self, workload: &Workload, restarted_at: &str) -> bool {
        let template = workload.template();
        let record = template.annotation(annotations::DIGESTS);
        template.annotation(restarted_at) == Some(self.at.to_string().as_str())
            && record.and_then(Record::parse).as_ref() == Some(&self.record)
    }
}

/// Rolls the workload out as it was observed, and says which generation it has then, zero where the API server does not
/// report it: a `resourceVersion` in the patch makes the API server refuse it when the workload has changed since.
///
/// # Errors
///
/// [`Error`] when there is no answer, or another.
pub(crate) async fn rollout(
    client: &Client,
    workload: &Workload,
    written: &Written,
    restarted_at: &str,
    end: Option<Instant>,
) -> Result<i64, Error> {
    let kind = &workload.kind;
    let api: Api<Object> = Api::namespaced_with(client.clone(), workload.namespace(), kind);
    let body = body(workload, written, restarted_at);
    let parameters = PatchParams {
        field_manager: Some(constants::NAME.to_owned()),
        ..PatchParams::default()
    };
    let name = workload.meta().name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(body);
    let timeout = Instant::now() + PATCH_TIMEOUT;
    let timeout = end.map_or(timeout, |end| end.min(timeout));
    match time::timeout_at(timeout, api.patch(name, &parameters, &patch)).await {
        Ok(Ok(patched)) => Ok(patched.meta().generation.unwrap_or(0)),
        Ok(Err(error)) => Err(Error::of(error)),
        Err(_) => Err(Error::Timeout),
    }
}

/// What a patch of the workload says.
fn body(workload: &Workload, written: &Written, restarted_at: &str) -> Value {
    let mut annotations = BTreeMap::from([
        (restarted_at, Some(written.at.to_string())),
        (annotations::DIGESTS, Some(written.record.to_string())),
    ]);
    let attempts = (!written.attempts.is_empty()).then(|| written.attempts.to_string());
    let pins = (!written.pins.is_empty()).then(|| written.pins.to_string());
    // Null removes what the rollouts before have left; where there is nothing, nothing is written.
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
    fn of(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.is_conflict() => Self::Conflict(error),
            kube::Error::Api(status) if status.is_not_found() => Self::Gone(error),
            kube::Error::Api(status) if (400..500).contains(&status.code) => Self::Refused(error),
            kube::Error::BuildRequest(_) => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }
}

/// The workload as the API server has it now; nothing when it is not there any more. It is a list, as no role of ours
/// permits `get`.
///
/// # Errors
///
/// When the API server does not answer in time, or with something else: which of them makes no difference.
pub(crate) async fn read(client: &Client, workload: &Workload) -> Result<Option<Workload>, Unread> {
    let kind = workload.kind;
    let api: Api<Object> = Api::namespaced_with(client.clone(), workload.namespace(), &kind);
    let name = workload.meta().name.as_deref().unwrap_or_default();
    let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
    let listed = time::timeout(READ_TIMEOUT, api.list(&parameters)).await;
    let listed = listed.map_err(|_| Unread)?.map_err(|_| Unread)?;
    let mut found = listed.items.into_iter();
    let found = found.find(|found| found.uid() == workload.uid());
    let found = found.map(|found| Workload::new(kind, Arc::new(found)));
    found.transpose().map_err(|_| Unread)
}

/// A workload could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread;

#[cfg(test)]
mod tests {
    use kube_autorollout_core::{
        Digest,
        record::{Change, Record},
    };

    use super::*;
    use crate::rollout::tests::deployment;

    fn digest() -> Digest {
        let digest = format!("sha256:{}", "a".repeat(64));
        digest.parse().expect("a digest")
    }

    fn written(pins: Pins) -> Written {
        let change = Change {
            container: "app".to_owned(),
            from: None,
            to: digest(),
        };
        Written {
            record: Record::default().after(&[change], &["app".to_owned()]),
            attempts: Attempts::default(),
            pins,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn sent(annotations: &Value, pins: Pins) -> String {
        let body = body(
            &deployment("7", annotations),
            &written(pins),
            annotations::RESTARTED_AT,
        );
        body.to_string()
    }

    #[test]
    fn without_pins_the_patch_is_what_it_was_before_there_were_pins() {
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
