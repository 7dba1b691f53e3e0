//! Which requests are sent again, and when.
//!
//! A request whose answer is an error of a proxy or of a busy API server may have been carried out. What only reads is sent
//! again nevertheless; of what writes, the caller has to find out first. One answer is different: 429 means that the API
//! server has refused the request before it did anything
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>).

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header::RETRY_AFTER};
use kube::client::{Body, retry::RetryPolicy};
use tokio::time::Sleep;
use tower::{BoxError, retry::Policy};

pub(super) use kube::client::retry::InvalidBackoff;

/// The first pause. Callers have a back-off of their own, and should learn soon that they have to wait.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause that the API server did not ask for.
const LONGEST: Duration = Duration::from_secs(1);

/// How often a request is sent again.
const RETRIES: u32 = 3;

/// How many seconds a request waits in all because the API server asks for it (`Retry-After`). The API server itself asks
/// for half a minute at most; the page of a proxy may ask for an hour, which would be one without watches.
const ASKED: u64 = 30;

/// kube's policy for the requests that may be sent twice, with a bound on what it waits.
#[derive(Clone)]
pub(super) struct Retries {
    policy: RetryPolicy,
    /// What is left of [`ASKED`].
    left: u64,
}

impl Retries {
    /// # Errors
    ///
    /// [`InvalidBackoff`] when the constants contradict each other.
    pub(super) fn new() -> Result<Self, InvalidBackoff> {
        let policy = RetryPolicy::new(FIRST, LONGEST, RETRIES, true)?;
        Ok(Self {
            policy,
            left: ASKED,
        })
    }

    /// Bounds what the answer asks for; whether it may be waited for.
    fn bound<B>(&mut self, answer: &mut Response<B>) -> bool {
        let asked = answer.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|asked| asked.to_str().ok()?.parse().ok());
        let Some(asked) = asked.filter(|asked: &u64| *asked > 0) else {
            return true;
        };
        let granted = asked.min(self.left);
        self.left -= granted;
        let headers = answer.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(granted));
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
        let answer = result.as_mut().ok()?;
        let may_be_sent_twice =
            request.method() == Method::GET || answer.status() == StatusCode::TOO_MANY_REQUESTS;
        if !may_be_sent_twice || !self.bound(answer) {
            return None;
        }
        self.policy.retry(request, result)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let policy: &mut dyn Policy<_, Response<B>, BoxError, Future = Sleep> = &mut self.policy;
        policy.clone_request(request)
    }
}
