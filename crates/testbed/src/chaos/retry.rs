//! Requests that are made until they succeed.

use std::time::Duration;

use tokio::time::sleep;

/// After a request that failed, as when the API server is down.
const RETRY: Duration = Duration::from_millis(200);

/// So many attempts of a request fail before the run is given up: the API server is never down for so long.
const ATTEMPTS: usize = 600;

/// Asks again and again until the API server has done it.
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
