//! Receivers of hints.

use kube_autorollout_hints::Sender;

use super::{Given, check_problems};

const SECRET: &str = "correct-horse-battery-staple-4242";

#[test]
fn a_receiver_is_read_with_all_its_keys() {
    let given = Given::new().file("secret", SECRET);
    let text = "hints: { port: 9000, receivers: [{ name: ci, type: generic, secretFile: DIR/secret, mayWait: true, \
                images: ['ghcr.io/team/*'], oidc: { issuer: 'https://ci.example.org', claims: { project: web, protected: true } } }, \
                { name: art, type: artifactory, secretFile: DIR/secret, repositories: { local: art.example.org/team } }] }";
    let hints = given.config(text).hints;
    assert_eq!(hints.port.get(), 9000);
    let [ci, art] = &*hints.receivers else {
        panic!("two receivers");
    };
    let oidc = ci.settings().oidc.as_ref().expect("an issuer");
    assert_eq!(oidc.audience, "kube-autorollout");
    assert_eq!(oidc.claims["protected"], "true");
    assert!(ci.settings().may_wait);
    assert_eq!(art.settings().sender, Sender::Artifactory);
    assert_eq!(
        art.settings().naming.repositories["local"],
        ["art.example.org/team"]
    );
}

#[test]
fn every_problem_of_a_receiver_is_reported_at_its_key() {
    let given = Given::new().file("secret", SECRET).file("short", "\n");
    check_problems(
        &given,
        &[
            (
                "hints: { receivers: [{ name: ci, type: generic, secretFile: DIR/secret }] }",
                "",
            ),
            (
                "hints: { receivers: [{ type: github, secretFile: DIR/secret }] }",
                "hints.receivers[0].name (in DIR/config.yaml): required; allowed: a name: hints are sent to /hooks/<name>",
            ),
            (
                "hints: { receivers: [{ name: ci, type: gitlab, secretFile: DIR/secret }] }",
                "hints.receivers[0].type (in DIR/config.yaml): found \"gitlab\"; allowed: generic, github, distribution, harbor, \
                 dockerhub, gitea, quay, acr, artifactory or cloudevents",
            ),
            (
                "hints: { receivers: [{ name: ci, type: generic }] }",
                "hints.receivers[0].secretFile (in DIR/config.yaml): a receiver needs secretFile or oidc: without one, \
                 everybody could send hints",
            ),
            (
                "hints: { receivers: [{ name: ci, type: generic, secretFile: DIR/none }] }",
                "hints.receivers[0].secretFile (in DIR/config.yaml): the file DIR/none cannot be read: No such file or \
                 directory (os error 2)",
            ),
            (
                "hints: { port: 8080, receivers: [{ name: ci, type: generic, secretFile: DIR/secret }] }",
                "hints.port (in DIR/config.yaml): must be another port than webserver.port",
            ),
        ],
    );
    for (text, key) in [
        ("secretFile: DIR/short", "secretFile"),
        ("oidc: { issuer: 'https://ci.example.org' }", "oidc.claims"),
        (
            "oidc: { issuer: 'http://ci.example.org', claims: { a: b } }",
            "oidc.issuer",
        ),
        ("secretFile: DIR/secret, images: ['nginx']", "images"),
    ] {
        let text = format!("hints: {{ receivers: [{{ name: ci, type: generic, {text} }}] }}");
        let problems = given.problems(&text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let place = format!("hints.receivers[0].{key} (in DIR/config.yaml): ");
        assert!(problems[0].starts_with(&place), "{problems:?}");
    }
}
