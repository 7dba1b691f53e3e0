//! Properties of parsing requests to receivers.

use http::{HeaderMap, HeaderName, HeaderValue};
use kube_autorollout_hints::{Naming, Request, Sender, Tags};

/// `data` is lines of headers, an empty line, and the body.
pub(crate) fn check(sender: Sender, data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (&[][..], data),
    };
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(32) {
        let colon = line.iter().position(|byte| *byte == b':');
        let parts = colon.map(|at| (&line[..at], line[at + 1..].trim_ascii()));
        let Some((name, value)) = parts else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let request = Request {
        headers: &headers,
        path_secret: None,
        body,
    };
    let configured = Naming {
        registry_host: Some("registry.example.org:5000".to_owned()),
        repository_prefix: Some("a/b".to_owned()),
        repositories: [(
            "docker-local".to_owned(),
            vec!["art.example.org/docker".to_owned()],
        )]
        .into(),
    };
    for naming in [Naming::default(), configured] {
        match sender.read(&request, &naming) {
            Ok(parsed) => {
                let tags: usize = parsed.hints.iter().map(assert_is_canonical).sum();
                assert!(tags <= 100);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(
                    message.len() < 300 && !message.contains(char::is_control),
                    "{message:?}"
                );
                assert!(error.status().is_client_error());
            }
        }
    }
}

/// Every hint is a valid reference in canonical form. Returns its number of tags.
fn assert_is_canonical(hint: &kube_autorollout_hints::Hint) -> usize {
    let tags = match &hint.tags {
        Tags::All => vec!["latest"],
        Tags::Named(tags) => tags.iter().map(String::as_str).collect(),
    };
    assert!(!tags.is_empty());
    for tag in &tags {
        let image = format!("{}/{}:{tag}", hint.registry, hint.repository);
        let reference = kube_autorollout_core::reference::parse(&image).expect("a reference");
        assert_eq!(reference.whole(), image);
        assert!(hint.concerns(&reference));
        assert_eq!(hint.registry, hint.registry.to_ascii_lowercase());
    }
    tags.len()
}
