use super::*;
use crate::cluster::access::{Authority, Material};

/// Files with these texts, as `KUBECONFIG` names them.
fn read_files(texts: &[&str]) -> (tempfile::TempDir, Result<Access, Error>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = vec![folder.path().join("not-there")];
    for (index, text) in texts.iter().enumerate() {
        let folder = folder.path().join(index.to_string());
        fs::create_dir(&folder).expect("a folder");
        let path = folder.join("config");
        fs::write(&path, text).expect("a file");
        paths.push(path);
    }
    let list = env::join_paths(paths).expect("names without colons");
    let list = list.into_string().expect("text");
    let access = read(&BTreeMap::from([("KUBECONFIG".to_owned(), list)]));
    (folder, access)
}

const CHOSEN: &str = "
current-context: a
contexts: [{ name: a, context: { cluster: b, user: c, namespace: d } }]
";

#[test]
fn the_first_of_a_name_counts_and_paths_are_relative_to_their_file() {
    let second = "
clusters:
- name: b
  cluster: { server: 'https://b.test:6443', certificate-authority: ca.crt, tls-server-name: other }
- { name: b, cluster: { server: 'https://second.test' } }
---
current-context: never
clusters: [{ name: b, cluster: { server: 'https://third.test' } }]
users: [{ name: c, user: { token: planted, as: someone, as-groups: [e, f], as-user-extra: { 'a/b': [g] } } }]
";
    let (folder, access) = read_files(&[CHOSEN, second]);
    let access = access.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(access.server, "https://b.test:6443/");
    assert_eq!(access.namespace.as_deref(), Some("d"));
    assert_eq!(access.server_name.as_deref(), Some("other"));
    let expected = folder.path().join("1/ca.crt");
    assert!(matches!(access.authority, Authority::Known(Material::File(path)) if path == expected));
    let headers = |name| {
        let values = access.headers.get_all(name).into_iter();
        values.collect::<Vec<_>>()
    };
    assert_eq!(headers("impersonate-user"), ["someone"]);
    assert_eq!(headers("impersonate-group"), ["e", "f"]);
    assert_eq!(headers("impersonate-extra-a%2fb"), ["g"]);
}

#[tokio::test]
async fn each_way_to_say_who_one_is_has_its_header() {
    let cases = [
        ("{}", None),
        ("{ token: one }", Some("Bearer one")),
        ("{ token: one, tokenFile: never }", Some("Bearer one")),
        ("{ username: a, password: b }", Some("Basic YTpi")),
        (
            "{ auth-provider: { name: oidc, config: { id-token: two } } }",
            Some("Bearer two"),
        ),
    ];
    for (user, expected) in cases {
        let text = format!(
            "{CHOSEN}clusters: [{{ name: b, cluster: {{ server: 'https://b' }} }}]\nusers: [{{ name: c, user: {user} }}]\n"
        );
        let (_folder, access) = read_files(&[&text]);
        let access = access.unwrap_or_else(|error| panic!("{user}: {error}"));
        let header = access.credential.header().await.expect("a header");
        let header = header.as_ref().map(|value| value.to_str().expect("text"));
        assert_eq!(header, expected, "{user}");
    }
}

#[test]
fn what_is_wrong_is_said_without_secrets() {
    let user = |user: &str| format!("{CHOSEN}{CLUSTER}users: [{{ name: c, user: {user} }}]\n");
    let cases = [
        ("kind: Config\n".to_owned(), "no current-context"),
        ("current-context: a\n".to_owned(), "no context \"a\""),
        (CHOSEN.to_owned(), "no cluster \"b\""),
        ("users: [{ token: planted\n".to_owned(), "is not YAML"),
        (user("{ client-key-data: planted }"), "Base64"),
        (user("{ client-key: planted }"), "belong together"),
        (user("{ token: [planted] }"), "user \"c\""),
        (
            user("{ auth-provider: { name: gcp, config: { a: planted } } }"),
            "\"gcp\" is not supported",
        ),
    ];
    for (text, expected) in cases {
        let (_folder, access) = read_files(&[&text]);
        let Err(error) = access else {
            panic!("{text} was taken");
        };
        let said = crate::error_chain::Chain(&error).to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("planted"), "{said}");
    }
    let (_folder, access) = read_files(&[]);
    assert!(matches!(access, Err(Error::Nowhere)));
}

const CLUSTER: &str = "clusters: [{ name: b, cluster: { server: 'https://b' } }]\n";

/// Each key of a user, and of a cluster, with `VALUE` where text belongs.
const TEXTS: [(&str, &str); 17] = [
    ("token", "{ token: VALUE }"),
    ("tokenFile", "{ tokenFile: VALUE }"),
    ("username", "{ username: VALUE }"),
    ("password", "{ username: a, password: VALUE }"),
    ("client-certificate", "{ client-certificate: VALUE }"),
    (
        "client-certificate-data",
        "{ client-certificate-data: VALUE }",
    ),
    ("client-key", "{ client-key: VALUE }"),
    ("client-key-data", "{ client-key-data: VALUE }"),
    ("as", "{ as: VALUE }"),
    ("as-uid", "{ as-uid: VALUE }"),
    ("as-groups", "{ as-groups: { a: VALUE } }"),
    ("as-user-extra", "{ as-user-extra: { a: [{ a: VALUE }] } }"),
    (
        "exec",
        "{ exec: { apiVersion: v1, command: c, env: [{ name: a, value: VALUE }] } }",
    ),
    (
        "exec",
        "{ exec: { apiVersion: v1, command: c, args: [VALUE] } }",
    ),
    (
        "auth-provider",
        "{ auth-provider: { name: oidc, config: { id-token: VALUE } } }",
    ),
    ("proxy-url", "{ server: 'https://b', proxy-url: VALUE }"),
    (
        "certificate-authority-data",
        "{ server: 'https://b', certificate-authority-data: VALUE }",
    ),
];

/// Text that YAML does not take for text is the usual mistake: passwords and tokens of digits, and `yes`, `no`, `null`.
#[test]
fn a_value_of_the_wrong_type_is_named_by_its_key_and_not_shown() {
    let planted = [
        "424242",
        "-424242",
        "4242.42",
        "true",
        "[text4242]",
        "{ a: text4242 }",
    ];
    for ((key, entry), value) in TEXTS
        .iter()
        .flat_map(|text| planted.map(|value| (text, value)))
    {
        let entry = entry.replace("VALUE", value);
        let text = if entry.contains("server") {
            format!("{CHOSEN}clusters: [{{ name: b, cluster: {entry} }}]\n")
        } else {
            format!("{CHOSEN}{CLUSTER}users: [{{ name: c, user: {entry} }}]\n")
        };
        let (_folder, access) = read_files(&[&text]);
        let Err(error) = access else {
            panic!("{text} was taken");
        };
        let said = crate::error_chain::Chain(&error).to_string();
        assert!(said.contains(key), "{text}: {said}");
        for shown in ["4242", "true", value] {
            assert!(!said.contains(shown), "{text}: {said}");
        }
    }
}

#[test]
fn what_is_no_yaml_is_not_shown() {
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
        let text = format!("{CHOSEN}users:\n- name: c\n  user:\n    {broken}\n");
        let (_folder, access) = read_files(&[&text]);
        let Err(error) = access else {
            continue; // what is YAML is for the test above
        };
        let said = crate::error_chain::Chain(&error).to_string();
        assert!(!said.contains("4242"), "{text}: {said}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let text = format!("{CHOSEN}clusters: [{{ name: b, cluster: {{ proxy-url: 'http://p' }} }}]\n");
    let (_folder, access) = read_files(&[&text]);
    let said = access.err().map(|error| error.to_string());
    assert!(said.is_some_and(
        |said| said.contains("cluster \"b\"") && said.contains("missing field `server`")
    ));
}
