//! How often a message is sent until it is accepted.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The waits before the second and the third attempt, which is the last one.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The longest wait that a server is granted.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// What came of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The server responded with a status, and perhaps a `Retry-After`.
    Status(u16, Option<&'a str>),
    /// It did not.
    None,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The message is sent.
    Sent,
    /// It is sent again after so long.
    Retry(Duration),
    /// It is given up.
    Failed,
}

/// The attempts for one message.
#[derive(Debug, Default)]
pub struct Attempts(usize);

impl Attempts {
    /// What follows from the next attempt. Time-outs, 408, 429 and 5xx may pass; all else, also a redirect, will be the same
    /// next time.
    pub fn answered(&mut self, answer: Answer<'_>, now: Timestamp) -> Verdict {
        let asked = match answer {
            Answer::Status(200..=299, _) => return Verdict::Sent,
            Answer::Status(408 | 429 | 500..=599, retry_after) => {
                retry_after.and_then(|text| read(text, now))
            }
            Answer::Status(..) => return Verdict::Failed,
            Answer::None => None,
        };
        let wait = WAITS.get(self.0).copied();
        self.0 += 1;
        wait.map_or(Verdict::Failed, |wait| {
            Verdict::Retry(asked.map_or(wait, |asked| asked.max(wait).min(LONGEST)))
        })
    }
}

/// Reads a `Retry-After`: seconds, or a date (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
fn read(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default())
}
