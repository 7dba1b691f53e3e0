use std::fs;

use super::*;
use crate::client::{Recovery, connect};

const CONTEXT: &str = "
current-context: a
contexts: [{ name: a, context: { cluster: b, user: c, namespace: d } }]
";

const CLUSTER: &str = "clusters: [{ name: b, cluster: { server: 'https://b' } }]\n";

/// The configuration of a kubeconfig with this text.
async fn loaded(text: &str) -> Result<Config, Problem> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config");
    fs::write(&path, text).expect("a file");
    configure(Kubeconfig::read_from(&path)).await
}

/// The problem of a kubeconfig with this text, if there is one.
async fn problem(text: &str) -> Option<String> {
    match loaded(text).await {
        Err(problem) => Some(problem.to_string()),
        Ok(config) => {
            let client = connect::client(config, connect::PLUGIN_TIMEOUT, Recovery::new()).await;
            client.err().map(|error| error.to_string())
        }
    }
}

fn with_user(user: &str) -> String {
    format!("{CONTEXT}{CLUSTER}users: [{{ name: c, user: {user} }}]\n")
}

#[tokio::test]
async fn the_namespace_and_the_proxy_are_those_of_the_current_context() {
    for (proxy, expected) in [
        ("", None),
        (", proxy-url: ''", None),
        (
            ", proxy-url: 'http://proxy:3128'",
            Some("http://proxy:3128/"),
        ),
    ] {
        let clusters = format!(
            "clusters:
- {{ name: other, cluster: {{ server: 'https://other', proxy-url: 'http://other' }} }}
- {{ name: b, cluster: {{ server: 'https://b' {proxy} }} }}\n"
        );
        let config = loaded(&format!("{CONTEXT}{clusters}")).await;
        let config = config.unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(config.default_namespace, "d");
        let url = config.proxy_url.map(|url| url.to_string());
        assert_eq!(url.as_deref(), expected);
    }
}

#[tokio::test]
async fn an_unsupported_proxy_is_refused_without_its_password() {
    for url in ["https://user:planted@proxy", "socks5://user:planted@proxy"] {
        let cluster = format!(
            "clusters: [{{ name: b, cluster: {{ server: 'https://b', proxy-url: '{url}' }} }}]\n"
        );
        let problem = problem(&format!("{CONTEXT}{cluster}")).await;
        let problem = problem.expect("it is refused");
        assert!(problem.contains("proxy-url is not supported"), "{problem}");
        assert!(!problem.contains("planted"), "{problem}");
    }
}

#[tokio::test]
async fn problems_are_described_without_secrets() {
    let cases = [
        ("kind: Config\n".to_owned(), "no current-context"),
        ("current-context: a\n".to_owned(), "no context \"a\""),
        (CONTEXT.to_owned(), "no cluster \"b\""),
        (
            "users: [{ token: planted\n".to_owned(),
            "invalid kubeconfig at line",
        ),
        (
            with_user("{ client-certificate-data: YQ==, client-key-data: '%planted' }"),
            "client-key-data is not Base64",
        ),
        (
            with_user("{ client-certificate-data: YQ==, client-key-data: cGxhbnRlZA== }"),
            "not PEM",
        ),
        (
            with_user("{ client-key-data: cGxhbnRlZA== }"),
            "belong together",
        ),
        (
            with_user("{ token: [planted] }"),
            "invalid kubeconfig at line",
        ),
        (
            with_user("{ token: \"planted\\n\" }"),
            "not allowed in a header",
        ),
        (
            with_user("{ auth-provider: { name: azure, config: { a: planted } } }"),
            "use an exec plugin",
        ),
        (
            with_user("{ exec: { command: /nowhere } }"),
            "cannot run the exec plugin",
        ),
        (
            with_user(
                "{ exec: { command: sh, args: ['-c', 'echo planted; exit 7'], env: [{ name: A, value: planted }] } }",
            ),
            "the exec plugin failed (exit status: 7)",
        ),
        (
            with_user(
                "{ exec: { command: sh, args: ['-c', 'echo \"{ status: { token: [planted] } }\"'] } }",
            ),
            "did not print an ExecCredential",
        ),
    ];
    for (text, expected) in cases {
        let problem = problem(&text).await;
        let problem = problem.unwrap_or_else(|| panic!("{text} was taken"));
        assert!(problem.contains(expected), "{text}: {problem}");
        assert!(!problem.contains("planted"), "{text}: {problem}");
    }
}

/// Unquoted strings that YAML parses as other types are a common mistake: passwords and tokens of digits, `yes`, `no`, `null`.
#[tokio::test]
async fn a_value_of_the_wrong_type_is_never_shown() {
    const KEYS: [&str; 14] = [
        "{ token: VALUE }",
        "{ username: a, password: VALUE }",
        "{ client-certificate: a, client-key: a, client-key-data: VALUE }",
        "{ client-certificate-data: VALUE, client-key-data: a }",
        "{ as: VALUE, token: a }",
        "{ as-groups: { a: VALUE } }",
        "{ as-user-extra: { a: [{ a: VALUE }] } }",
        "{ exec: { apiVersion: v1, command: 'true', env: [{ name: a, value: VALUE }] } }",
        "{ exec: { apiVersion: v1, command: 'true', args: [VALUE] } }",
        "{ auth-provider: { name: oidc, config: { id-token: VALUE } } }",
        "{ auth-provider: { name: gcp, config: { access-token: VALUE } } }",
        "{ token: VALUE, extra: VALUE }",
        "{ tokenFile: { a: VALUE } }",
        "{ exec: VALUE }",
    ];
    let planted = [
        "424242",
        "-424242",
        "4242.42",
        "true4242",
        "[text4242]",
        "{ a: text4242 }",
        "!text4242 a",
        "*text4242",
    ];
    for user in KEYS {
        for value in planted {
            let text = with_user(&user.replace("VALUE", value));
            if let Some(problem) = problem(&text).await {
                assert!(!problem.contains("4242"), "{text}: {problem}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_yaml_is_not_shown() {
    for broken in [
        "token: \"text4242",
        "token: 'text4242",
        "token: *text4242",
        "token: &text4242 &text4242 a",
        "token: !text4242 {",
        "token: %text4242",
        "token: @text4242",
        "token: `text4242",
        "token: text4242: a",
        "token: \"\\text4242\"",
        "token: text4242\n    token: text4242",
        "token: text4242\n\ttoken: text4242",
        "token: |9\n text4242",
        "? text4242\n    : a\n   - text4242",
        "token: text4242 }",
        "<<: text4242",
        "[text4242, a]: b",
    ] {
        let text = format!("{CONTEXT}{CLUSTER}users:\n- name: c\n  user:\n    {broken}\n");
        if let Some(problem) = problem(&text).await {
            assert!(!problem.contains("4242"), "{text}: {problem}");
        }
    }
}
