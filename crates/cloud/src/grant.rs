//! Issued credentials and their lifetimes.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use kube_autorollout_registry::{Credential, ExternalResponse};

/// The minimum lifetime: otherwise a wrong clock would cause a fetch for each request.
const MIN_LIFETIME: Duration = Duration::from_secs(30);

/// An issued credential.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) credential: Credential,
    pub(crate) expires_in: Duration,
    /// The identity that it was issued to: a role, a client or an account, never a token.
    pub(crate) identity: String,
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Grant({:?}, {:?})",
            self.identity, self.expires_in
        )
    }
}

/// The time until `expires`, by the clock of the server that sent it, or else by ours.
pub(crate) fn remaining_until(expires: Timestamp, response: &ExternalResponse) -> Duration {
    let date = response.header("date");
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let date = date.and_then(|date| Timestamp::try_from(date).ok());
    let now = date.unwrap_or_else(now);
    at_least_minimum(expires.duration_since(now).try_into().unwrap_or_default())
}

/// The lifetime, or the minimum.
pub(crate) fn at_least_minimum(lifetime: Duration) -> Duration {
    lifetime.max(MIN_LIFETIME)
}

/// The current time, for signatures and absolute expiry times.
#[expect(
    clippy::disallowed_methods,
    reason = "signatures contain the current time"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}
