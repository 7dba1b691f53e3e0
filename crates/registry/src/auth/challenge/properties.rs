//! What holds of every `WWW-Authenticate`, whatever a server sends. Tests and the fuzz target call it.

use http::HeaderValue;

use super::*;

/// `data` is the header's values, one in a line.
pub(crate) fn check(data: &[u8]) {
    let lines: Vec<HeaderValue> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    let challenges = parse(&headers(&lines));
    if let Some((_, earlier)) = lines.split_last() {
        let unchanged = challenges.starts_with(&parse(&headers(earlier)));
        assert!(unchanged, "a later line changed what an earlier one says");
    }
    assert!(challenges.len() <= MAX_CHALLENGES);
    challenges.iter().for_each(is_of_the_grammar);
    comes_back(&challenges);
}

fn headers(lines: &[HeaderValue]) -> HeaderMap {
    let lines = lines.iter().cloned();
    lines.map(|line| (WWW_AUTHENTICATE, line)).collect()
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
        let again = parse(&headers(&[value]));
        assert_eq!(again, challenges);
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
