//! Waiting for a condition, with a deadline whose error shows the last state.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Kind, is_rolled_out_as};

/// Between two polls of something that cannot be watched.
const POLL: Duration = Duration::from_millis(20);

/// A duration for each thousand workloads, the last of which may be incomplete.
pub fn each_thousand(duration: Duration, workloads: usize) -> Duration {
    let thousands = u32::try_from(workloads / 1000).unwrap_or(u32::MAX);
    duration.saturating_mul(thousands.saturating_add(1))
}

/// A condition that did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} did not happen within {deadline:?}; last seen: {seen}")]
pub struct TimedOut {
    /// The condition.
    pub what: String,
    /// For how long.
    pub deadline: Duration,
    /// The state at the last poll.
    pub seen: String,
}

/// Polls until `poll` returns `Ok`, and returns its value; an `Err` is the state that was seen instead.
///
/// # Errors
///
/// [`TimedOut`] with what was seen last.
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut poll: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, TimedOut> {
    let end = Instant::now() + deadline;
    let mut seen = "nothing".to_owned();
    let waiting = async {
        loop {
            match poll().await {
                Ok(answer) => return answer,
                Err(other) => seen = other,
            }
            sleep(POLL).await;
        }
    };
    let answer = timeout_at(end, waiting).await;
    answer.map_err(|_| TimedOut {
        what: what.to_owned(),
        deadline,
        seen,
    })
}

/// Watches one object until `condition` holds for it, and returns the object.
///
/// # Errors
///
/// [`TimedOut`] with the object as it was last.
pub async fn wait_until<K>(
    api: &Api<K>,
    name: &str,
    deadline: Duration,
    mut condition: impl FnMut(&K) -> bool,
) -> Result<K, TimedOut>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let end = Instant::now() + deadline;
    let mut seen = "no such object".to_owned();
    let mut objects = pin!(watcher::watch_object(api.clone(), name).default_backoff());
    while let Ok(Some(object)) = timeout_at(end, objects.next()).await {
        match object {
            Ok(Some(object)) if condition(&object) => return Ok(object),
            Ok(Some(object)) => seen = serde_json::to_string(&object).unwrap_or_default(),
            Ok(None) => "no such object".clone_into(&mut seen),
            Err(error) => seen = error.to_string(),
        }
    }
    Err(TimedOut {
        what: format!("the expected state of {name}"),
        deadline,
        seen,
    })
}

/// Waits until a Deployment is rolled out, and returns it.
///
/// # Errors
///
/// [`TimedOut`] with the Deployment as it was last.
pub async fn rolled_out(
    api: &Api<Deployment>,
    name: &str,
    deadline: Duration,
) -> Result<Deployment, TimedOut> {
    wait_until(api, name, deadline, is_rolled_out).await
}

/// Whether a Deployment's rollout is complete.
pub fn is_rolled_out(deployment: &Deployment) -> bool {
    is_rolled_out_as(Kind::Deployment, deployment)
}
