//! Whether a request is sent again, and when.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use http::StatusCode;

use crate::{
    exchange::{Answer, Question},
    fault::Fault,
    observer::Operation,
    rate_limit,
};

/// Further attempts after a failure that may pass.
const RETRIES: u32 = 3;

/// The wait before the first further attempt; it doubles.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A server that asks for a longer wait than this is left alone instead.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long to wait before another attempt, if one makes sense. `down` is how long nobody may ask.
pub(crate) fn delay(
    question: &Question,
    result: &Result<Answer, Fault>,
    attempt: u32,
    down: Duration,
) -> Option<Duration> {
    if attempt >= RETRIES || (is_login(question) && !matches!(result, Err(Fault::Connect(_)))) {
        return None;
    }
    let own = jitter(RETRY_DELAY.saturating_mul(1 << attempt));
    match result {
        // One lost packet costs a whole time-out, so that it is worth waiting to be the one who asks first.
        Err(Fault::Timeout { .. }) => Some(own.max(down)),
        _ if !down.is_zero() => None,
        Err(Fault::ConnectTimeout { .. } | Fault::Connect(_) | Fault::Transport(_)) => Some(own),
        Ok(answer) if may_pass(answer.status) => {
            let asked = rate_limit::retry_after(&answer.headers).unwrap_or_default();
            (asked <= MAX_RETRY_AFTER).then(|| asked.max(own))
        }
        _ => None,
    }
}

/// Whether a token server gets a credential: a refresh token may be good for one use, and a server that fails behind its
/// login may have counted a failed one.
fn is_login(question: &Question) -> bool {
    question.operation == Operation::Token
        && (question.form.is_some() || question.authorization.is_some())
}

/// Whether a failure of a server may pass. 501 does not.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::REQUEST_TIMEOUT
}

/// Between half of a duration and all of it, so that many clients do not come back in one instant.
fn jitter(duration: Duration) -> Duration {
    // Each RandomState has other keys, which is all the randomness that is needed.
    let random = RandomState::new().hash_one(0) & 0xffff;
    duration.mul_f64(0.5).saturating_add(
        duration.mul_f64(0.5 * f64::from(u32::try_from(random).unwrap_or(0)) / 65_536.0),
    )
}
