//! What every request to the API server is subject to, however it is sent: a deadline, and retries where a request may be
//! sent twice.

mod deadline;
pub(crate) mod list_stream;
mod retry;

use http::{Request, Response};
use kube::client::Body;
use tower::{BoxError, Layer as _, Service, retry::RetryLayer};

pub(crate) use self::retry::InvalidBackoff;

/// Adds the deadline and the retries to a service that sends requests to the API server.
///
/// # Errors
///
/// [`InvalidBackoff`] when the constants of the retries contradict each other.
pub(crate) fn guarded<S, B>(
    service: S,
) -> Result<
    impl Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static,
    InvalidBackoff,
>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Send + 'static,
{
    let retries = RetryLayer::new(retry::Retries::new()?);
    Ok(retries.layer(deadline::layer().layer(service)))
}

#[cfg(test)]
mod tests;
