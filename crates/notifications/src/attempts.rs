//! Retries of messages.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The delays before the second and the third attempt, which is the last one.
const DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The longest delay that a server can request.
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);

/// The response to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkResponse<'a> {
    /// A status, and `Retry-After` if there is one.
    Status(u16, Option<&'a str>),
    /// No response.
    None,
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The message was accepted.
    Sent,
    /// Retry after this delay.
    Retry(Duration),
    /// Drop the message.
    Failed,
}

/// The attempts to send one message.
#[derive(Debug, Default)]
pub struct Attempts(usize);

impl Attempts {
    /// Evaluates an attempt. Missing responses, 408, 429 and 5xx are transient; all others, including redirects, are permanent.
    pub fn evaluate(&mut self, response: SinkResponse<'_>, now: Timestamp) -> Verdict {
        let requested = match response {
            SinkResponse::Status(200..=299, _) => return Verdict::Sent,
            SinkResponse::Status(408 | 429 | 500..=599, retry_after) => {
                retry_after.and_then(|text| parse_retry_after(text, now))
            }
            SinkResponse::Status(..) => return Verdict::Failed,
            SinkResponse::None => None,
        };
        let delay = DELAYS.get(self.0).copied();
        self.0 += 1;
        delay.map_or(Verdict::Failed, |delay| {
            Verdict::Retry(requested.unwrap_or_default().min(MAX_DELAY).max(delay))
        })
    }
}

/// Parses `Retry-After`: seconds, or a date (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default())
}
