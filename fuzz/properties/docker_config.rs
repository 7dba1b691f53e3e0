//! Properties of parsing Docker configurations, which anyone who may create a pull Secret writes.

use kube_autorollout_registry::{Credential, Keyring, Reference};

/// `data` is an image reference, a line feed, and the configuration.
pub(crate) fn check(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (Some(image), Some(json)) = (data.get(..end), data.get(end + 1..)) else {
        return;
    };
    let Some(reference) = str::from_utf8(image)
        .ok()
        .and_then(|image| image.parse::<Reference>().ok())
    else {
        return;
    };
    for add in [Keyring::add_config_json, Keyring::add_dockercfg] {
        let mut keyring = Keyring::default();
        if let Err(error) = add(&mut keyring, json) {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
            assert_eq!(keyring, Keyring::default());
        }
        finds_what_is_added(&keyring, &reference);
    }
}

/// An additional login for the registry is found, and hides no other credential.
fn finds_what_is_added(keyring: &Keyring, reference: &Reference) {
    let before = keyring.lookup(reference);
    let mut twice = keyring.clone();
    twice.extend(keyring);
    assert_eq!(twice.lookup(reference).len(), 2 * before.len());

    let registry = reference.registry();
    let login = format!(r#"{{"{registry}": {{"username": "robot", "password": "secret"}}}}"#);
    let mut added = keyring.clone();
    assert_eq!(added.add_dockercfg(login.as_bytes()), Ok(()));
    let after = added.lookup(reference);
    assert!(after.contains(&Credential::password("robot", "secret")));
    // Docker Hub's default counts only while nothing else matches.
    if registry != "docker.io" {
        assert_eq!(after.len(), before.len() + 1);
        let mut rest = after.iter();
        assert!(
            before
                .iter()
                .all(|credential| rest.any(|other| other == credential))
        );
    }
}
