//! Requests that are retried until they succeed.

use std::time::Duration;

use tokio::time::sleep;

/// The pause after a failed request, as during an outage of the API server or the registry.
const RETRY: Duration = Duration::from_millis(200);

/// How many attempts may fail before the run is given up: no outage is that long.
const ATTEMPTS: usize = 600;

/// Retries a request until it succeeds.
pub(super) async fn persistently<T, E>(request: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    let mut attempts = 0;
    loop {
        match request().await {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            answer => return answer,
        }
        sleep(RETRY).await;
    }
}
