//! The retry policy of requests.
//!
//! A request that fails with an error of a proxy or of a busy API server may have been executed. Reads are retried anyway; for
//! writes the caller has to find out first. An exception is 429: the API server has rejected the request before its execution
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>).

use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header::RETRY_AFTER};
use kube::client::{Body, retry::RetryPolicy};
use tokio::time::Sleep;
use tower::{BoxError, retry::Policy};

pub(super) use kube::client::retry::InvalidBackoff;

/// The first delay. It is short, as callers have a backoff of their own.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// The longest delay without `Retry-After`.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The number of retries of a request.
const RETRIES: u32 = 3;

/// The total delay of a request due to `Retry-After`, in seconds. The API server itself sends at most half a minute; a proxy may
/// send an hour, in which there would be no watches.
const MAX_RETRY_AFTER: u64 = 30;

/// kube's policy for requests that may be sent twice, with a limit for `Retry-After`.
#[derive(Clone)]
pub(super) struct Retries {
    policy: RetryPolicy,
    /// What is left of [`MAX_RETRY_AFTER`].
    left: u64,
}

impl Retries {
    /// # Errors
    ///
    /// [`InvalidBackoff`] when the constants contradict each other.
    pub(super) fn new() -> Result<Self, InvalidBackoff> {
        let policy = RetryPolicy::new(MIN_DELAY, MAX_DELAY, RETRIES, true)?;
        Ok(Self {
            policy,
            left: MAX_RETRY_AFTER,
        })
    }

    /// Limits the `Retry-After` of a response; returns whether the request may be retried.
    fn limit<B>(&mut self, response: &mut Response<B>) -> bool {
        let requested = response.headers().get(RETRY_AFTER);
        let requested = requested.and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(requested) = requested.filter(|seconds: &u64| *seconds > 0) else {
            return true;
        };
        let granted = requested.min(self.left);
        self.left -= granted;
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, granted.into());
        granted > 0
    }
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for Retries {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Self::Future> {
        let response = result.as_mut().ok()?;
        let may_be_sent_twice =
            request.method() == Method::GET || response.status() == StatusCode::TOO_MANY_REQUESTS;
        if !may_be_sent_twice || !self.limit(response) {
            return None;
        }
        self.policy.retry(request, result)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let policy: &mut dyn Policy<_, Response<B>, BoxError, Future = Sleep> = &mut self.policy;
        policy.clone_request(request)
    }
}
