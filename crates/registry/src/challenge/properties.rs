//! What holds of every `WWW-Authenticate`, whatever a server sends. Tests and the fuzz target call it.

use http::HeaderValue;

use super::*;

/// `data` is the header's values, one in a line.
pub(crate) fn check(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut before = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        headers.append(WWW_AUTHENTICATE, value);
        let challenges = parse(&headers);
        assert!(challenges.starts_with(&before), "a later line changed them");
        before = challenges;
    }
    assert!(before.len() <= MAX_CHALLENGES);
    before.iter().for_each(is_of_the_grammar);
    comes_back(&before);
}

fn is_of_the_grammar(challenge: &Challenge) {
    assert!(challenge.parameters.len() <= MAX_PARAMETERS);
    let names = challenge.parameters.iter().map(|(name, _)| name);
    for name in names.chain([&challenge.scheme]) {
        assert!(!name.is_empty() && name.chars().all(is_token_letter));
        assert_eq!(*name, name.to_ascii_lowercase());
    }
}

/// Written down as RFC 9110 (section 11.4) asks for, challenges are read as the same.
fn comes_back(challenges: &[Challenge]) {
    let line: Vec<String> = challenges.iter().map(written).collect();
    if let Ok(value) = HeaderValue::try_from(line.join(", ")) {
        let headers = [(WWW_AUTHENTICATE, value)].into_iter().collect();
        assert_eq!(parse(&headers), challenges);
    }
}

fn written(challenge: &Challenge) -> String {
    let parameters: Vec<String> = challenge
        .parameters
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('"', "\\\"");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{} {}", challenge.scheme, parameters.join(", "))
}
