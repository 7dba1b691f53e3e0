//! What may be a secret, and where it is shown: nowhere.

use kube_autorollout_hints::{InvalidSecret, Request, Route, Secret, Secrets, Sender};

use crate::given::headers;

#[test]
fn a_line_break_at_the_end_of_a_file_is_no_part_of_the_secret() {
    for sender in [Sender::Generic, Sender::Dockerhub] {
        for content in ["secret", "secret\n", "secret\r\n"] {
            assert!(
                Secret::new(sender, content.as_bytes()).is_ok(),
                "{content:?}"
            );
        }
    }
}

#[test]
fn secrets_that_the_sender_cannot_send_are_rejected() {
    let long = "a".repeat(4097);
    for (sender, content, error) in [
        (Sender::Generic, "", InvalidSecret::Empty),
        (Sender::Generic, "\n", InvalidSecret::Empty),
        (Sender::Generic, "\r\n", InvalidSecret::Empty),
        (Sender::Generic, "two\nlines", InvalidSecret::NotInHeader),
        (Sender::Generic, "secret\n\n", InvalidSecret::NotInHeader),
        (Sender::Generic, &*long, InvalidSecret::TooLong),
        (Sender::Quay, "a/b", InvalidSecret::NotInPath),
        (Sender::Quay, "a b", InvalidSecret::NotInPath),
        (Sender::Dockerhub, "a%20b", InvalidSecret::NotInPath),
        (Sender::Dockerhub, "größe", InvalidSecret::NotInPath),
    ] {
        let refused = Secret::new(sender, content.as_bytes()).expect_err("refused");
        assert_eq!(refused, error, "{content:?}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::new(Sender::Generic, b"hunter2").expect("a secret");
    let headers = headers(&[("Authorization", "Bearer hunter2")]);
    let request = Request {
        headers: &headers,
        path_secret: Some("hunter2"),
        body: b"hunter2",
    };
    let route = Route::parse("/hooks/hub/hunter2", None);
    let secrets = Secrets::new(secret.clone(), Some(secret));
    for shown in [
        format!("{secrets:?}"),
        format!("{request:?}"),
        format!("{route:?}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
