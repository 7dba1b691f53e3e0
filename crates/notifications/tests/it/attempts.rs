//! When a message is sent again, and its signature.

use std::time::Duration;

use kube_autorollout_notifications::{Attempts, SigningKey, SinkResponse, Verdict};

use crate::given::at;

fn retry(seconds: u64) -> Verdict {
    Verdict::Retry(Duration::from_secs(seconds))
}

#[test]
fn transient_failures_are_retried_twice() {
    for response in [
        SinkResponse::None,
        SinkResponse::Status(500, None),
        SinkResponse::Status(503, None),
        SinkResponse::Status(429, None),
        SinkResponse::Status(408, None),
    ] {
        let mut attempts = Attempts::default();
        let verdicts = [(); 3].map(|()| attempts.evaluate(response, at()));
        assert_eq!(
            verdicts,
            [retry(1), retry(5), Verdict::Failed],
            "{response:?}"
        );
    }
}

#[test]
fn what_would_be_the_same_again_is_given_up() {
    for status in [301, 302, 307, 400, 401, 403, 404, 410, 413] {
        let verdict = Attempts::default().evaluate(SinkResponse::Status(status, Some("1")), at());
        assert_eq!(verdict, Verdict::Failed, "{status}");
    }
    for status in [200, 202, 204] {
        let verdict = Attempts::default().evaluate(SinkResponse::Status(status, None), at());
        assert_eq!(verdict, Verdict::Sent, "{status}");
    }
}

#[test]
fn a_server_can_delay_a_retry_by_five_minutes() {
    let cases = [
        ("20", 20),
        ("0", 1),
        ("86400", 300),
        (" 7 ", 7),
        ("Thu, 01 Jan 2026 00:00:42 GMT", 42),
        ("Thu, 01 Jan 2026 09:00:00 GMT", 300),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 1),
        ("soon", 1),
        ("-5", 1),
        ("99999999999999999999999", 1),
    ];
    for (text, seconds) in cases {
        let response = SinkResponse::Status(429, Some(text));
        let verdict = Attempts::default().evaluate(response, at());
        assert_eq!(verdict, retry(seconds), "{text:?}");
    }
}

/// The example of GitHub's documentation.
#[test]
fn a_body_is_signed_as_github_signs_its_webhooks() {
    let key = SigningKey::new(b"It's a Secret to Everybody\n").expect("a key");
    assert_eq!(
        key.sign(b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    assert_eq!(format!("{key:?}"), "[redacted]");
    assert!(SigningKey::new(b"\r\n").is_err());
}
