//! What a cloud has issued, and for how long it is good.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use kube_autorollout_registry::{Credential, TokenResponse};

/// A credential is good for no shorter than this, whatever clocks say: else a clock that is wrong would have one fetched
/// for each request.
const SHORTEST: Duration = Duration::from_secs(30);

/// What a cloud has issued.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) credential: Credential,
    pub(crate) expires_in: Duration,
    /// To whom: a role, a client or an account, never a token.
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

/// How long is left until an instant, by the clock of the server that has named it, or by ours.
pub(crate) fn left_until(expires: Timestamp, response: &TokenResponse) -> Duration {
    let date = response.header("date");
    let servers = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let servers = servers.and_then(|date| Timestamp::try_from(date).ok());
    let now = servers.unwrap_or_else(now);
    at_least(expires.duration_since(now).try_into().unwrap_or_default())
}

/// So long, or the shortest that makes sense.
pub(crate) fn at_least(left: Duration) -> Duration {
    left.max(SHORTEST)
}

/// The present, for signatures and for servers that name an instant.
#[expect(clippy::disallowed_methods, reason = "a signature is of the present")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}
