//! Properties of parsing image references.

use kube_autorollout_core::{
    Reference,
    reference::{has_digest, parse},
};

/// `data` is the `image` of a container.
pub(crate) fn check(data: &[u8]) {
    let Ok(image) = str::from_utf8(data) else {
        return;
    };
    let Ok(reference) = parse(image) else {
        return;
    };
    assert_eq!(parse(&reference.whole()), Ok(reference.clone()));
    assert_eq!(has_digest(&reference), image.contains('@'));
    assert!(reference.tag().is_some() || has_digest(&reference));
    assert_is_plain_url(&reference);
}

/// Nothing in a reference may redirect a request to another path or host.
fn assert_is_plain_url(reference: &Reference) {
    let host = reference.registry();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    // an IPv6 address is in brackets
    let (address, port) = host
        .strip_prefix('[')
        .and_then(|host| host.split_once(']'))
        .unwrap_or(("", host));
    assert!(
        !host.is_empty() && address.chars().chain(port.chars()).all(plain),
        "{host}"
    );

    let repository = reference.repository();
    assert!(repository.len() <= 255);
    for part in repository.split('/') {
        let plain = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-._".contains(letter)
        };
        assert!(part.starts_with(|letter: char| letter.is_ascii_alphanumeric()));
        assert!(part.chars().all(plain), "{part}");
    }

    let tag = reference.tag().unwrap_or("latest");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    assert!(!tag.starts_with(['.', '-']) && tag.len() <= 128);
    assert!(tag.chars().all(plain), "{tag}");
}
