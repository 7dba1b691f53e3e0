//! Properties of the parser for any input, for tests and the fuzz target.

use http::HeaderValue;

use super::*;

/// `data` has one header value per line.
pub(crate) fn check(data: &[u8]) {
    let lines: Vec<HeaderValue> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    let challenges = parse(&headers(&lines));
    if let Some((_, earlier)) = lines.split_last() {
        let unchanged = challenges.starts_with(&parse(&headers(earlier)));
        assert!(
            unchanged,
            "a later line changed the challenges of an earlier one"
        );
    }
    assert!(challenges.len() <= MAX_CHALLENGES);
    challenges.iter().for_each(assert_grammar);
    assert_round_trip(&challenges);
}

fn headers(lines: &[HeaderValue]) -> HeaderMap {
    let lines = lines.iter().cloned();
    lines.map(|line| (WWW_AUTHENTICATE, line)).collect()
}

fn assert_grammar(challenge: &Challenge) {
    assert!(challenge.parameters.len() <= MAX_PARAMETERS);
    let names = challenge.parameters.iter().map(|(name, _)| name);
    for name in names.chain([&challenge.scheme]) {
        assert!(!name.is_empty() && name.chars().all(is_token_char));
        assert_eq!(*name, name.to_ascii_lowercase());
    }
}

/// Challenges that are serialized as in RFC 9110 (section 11.4) are parsed as the same.
fn assert_round_trip(challenges: &[Challenge]) {
    let line: Vec<String> = challenges.iter().map(serialized).collect();
    if let Ok(value) = HeaderValue::try_from(line.join(", ")) {
        let again = parse(&headers(&[value]));
        assert_eq!(again, challenges);
    }
}

fn serialized(challenge: &Challenge) -> String {
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
