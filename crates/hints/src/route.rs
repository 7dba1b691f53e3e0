//! The path and query of a request.

use std::{fmt, time::Duration};

use kube_autorollout_core::schedule::parse_duration;

/// The longest time that a response may be held back.
pub const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// `/hooks/<receiver>`, `/hooks/<receiver>/<secret>` and `?wait=120s`. `Debug` does not show the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// The name of a receiver, which may not exist.
    pub receiver: &'a str,
    /// The secret of senders that cannot send it in a header. It must not be logged.
    pub secret: Option<&'a str>,
    /// How long the response may be held back until the workloads run the image.
    pub wait: Option<Duration>,
}

/// An invalid query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query must be wait, with an integer and s or m, from 1s to 15m")]
pub struct InvalidWait;

impl fmt::Debug for Route<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Route")
            .field("receiver", &self.receiver)
            .field("secret", &self.secret.map(|_| ".."))
            .field("wait", &self.wait)
            .finish()
    }
}

impl<'a> Route<'a> {
    /// Parses the path and query of a request; `None` for other paths.
    ///
    /// # Errors
    ///
    /// [`InvalidWait`] for another query than `wait`, or a wait that is too long.
    pub fn parse(path: &'a str, query: Option<&str>) -> Option<Result<Self, InvalidWait>> {
        let rest = path.strip_prefix("/hooks/")?;
        let (receiver, secret) = match rest.split_once('/') {
            Some((receiver, secret)) => (receiver, Some(secret)),
            None => (rest, None),
        };
        if receiver.is_empty() {
            return None;
        }
        let wait = match query {
            None | Some("") => Ok(None),
            Some(query) => parse_wait(query).map(Some),
        };
        Some(wait.map(|wait| Self {
            receiver,
            secret,
            wait,
        }))
    }
}

fn parse_wait(query: &str) -> Result<Duration, InvalidWait> {
    let text = query.strip_prefix("wait=").ok_or(InvalidWait)?;
    let wait = parse_duration(text).map_err(|_| InvalidWait)?;
    let fits = !wait.is_zero() && wait <= MAX_WAIT;
    fits.then_some(wait).ok_or(InvalidWait)
}
