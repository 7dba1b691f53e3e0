//! Properties of evaluating responses of notification sinks.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_notifications::{Attempts, SinkResponse, Verdict};

/// `data` is a status in two bytes, and the value of `Retry-After`.
pub(crate) fn check(data: &[u8]) {
    let Some((status, text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let status = u16::from_be_bytes(*status) % 1000;
    for status in [status, 429] {
        let mut attempts = Attempts::default();
        let mut verdict = || {
            attempts.evaluate(
                SinkResponse::Status(status, Some(text)),
                Timestamp::UNIX_EPOCH,
            )
        };
        let all = [verdict(), verdict(), verdict()];
        let may_pass = matches!(status, 408 | 429 | 500..=599);
        match all[0] {
            Verdict::Sent => assert!((200..300).contains(&status), "{status}"),
            Verdict::Failed => assert!(!may_pass, "{status}"),
            Verdict::Retry(_) => {
                assert!(may_pass && matches!(all[1], Verdict::Retry(_)), "{status}");
                assert_eq!(all[2], Verdict::Failed, "three attempts");
            }
        }
        for verdict in all {
            let bounded =
                |wait| (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&wait);
            assert!(
                !matches!(verdict, Verdict::Retry(wait) if !bounded(wait)),
                "{text}: {verdict:?}"
            );
        }
    }
}
