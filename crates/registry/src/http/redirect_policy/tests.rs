use super::*;

fn allowed(registry: &str, place: &str) -> bool {
    let registry = Origin::of(&registry.parse().expect("a registry")).expect("an origin");
    check(&place.parse().expect("a place"), &registry).is_ok()
}

#[test]
fn urls_are_followed_unless_insecure_or_private() {
    let cases = [
        (
            "https://registry-1.docker.io",
            "https://auth.docker.io/token",
            true,
        ),
        ("https://git.example", "https://git.example/jwt/auth", true),
        ("https://git.example", "http://git.example/jwt/auth", false),
        ("http://git.internal", "http://auth.internal/token", true),
        (
            "https://git.example",
            "https://user:password@git.example/",
            false,
        ),
        ("https://10.0.0.1:5000", "https://10.0.0.1:5001/token", true),
        (
            "https://10.0.0.1:5000",
            "https://10.0.0.2:5000/token",
            false,
        ),
        ("https://localhost:5000", "https://localhost/token", true),
    ];
    for (registry, place, expected) in cases {
        assert_eq!(allowed(registry, place), expected, "{registry} → {place}");
    }
}

/// Private in one way or another.
const PRIVATE: [&str; 28] = [
    "127.0.0.1",
    "localhost",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "172.31.0.1",
    "192.0.0.192",
    "168.63.129.16",
    "198.19.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "localhost.",
    "a.localhost.",
    "127.0.0.1.",
    "[64:ff9b::a00:1]",
    "[64:ff9b:1::808:808]",
    "[2002:a00:1::]",
    "[ff02::1]",
    "[fd00:ec2::254]",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "127.1",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[fd00::1]",
    "[fe80::1]",
];

const PUBLIC: [&str; 7] = [
    "100.128.0.1",
    "172.32.0.1",
    "168.63.129.17",
    "[64:ff9b::808:808]",
    "[2002:808:808::]",
    "[2606:4700::1111]",
    "93.184.216.34",
];

#[test]
fn private_addresses_are_followed_on_the_registrys_own_host_only() {
    for (hosts, expected) in [(&PRIVATE[..], false), (&PUBLIC, true)] {
        for host in hosts {
            let place = format!("https://{host}/token");
            assert_eq!(allowed("https://git.example", &place), expected, "{host}");
            let own = format!("https://{host}:5000");
            assert!(allowed(&own, &place), "{host}");
        }
    }
}

#[test]
fn a_refused_url_is_shown_without_login_path_and_query() {
    let registry = Origin::of(&Uri::from_static("https://git.example")).expect("an origin");
    let place = Uri::from_static("http://user:planted@10.0.0.1/planted?signature=planted");
    let repr = check(&place, &registry).expect_err("a refusal").to_string();
    assert!(
        repr.contains("10.0.0.1") && !repr.contains("planted"),
        "{repr}"
    );
}

#[test]
fn locations_are_resolved_against_the_url_of_the_request() {
    let base = Uri::from_static("https://a.example:5000/v2/x/manifests/1?q=1");
    let cases = [
        ("https://b.example/y", Some("https://b.example/y")),
        ("//b.example/y?z", Some("https://b.example/y?z")),
        ("/y#part", Some("https://a.example:5000/y")),
        ("2", Some("https://a.example:5000/v2/x/manifests/2")),
        (
            "?page=2",
            Some("https://a.example:5000/v2/x/manifests/1?page=2"),
        ),
        ("", Some("https://a.example:5000/v2/x/manifests/1?q=1")),
        (
            "/go?to=https://cdn.example/y",
            Some("https://a.example:5000/go?to=https://cdn.example/y"),
        ),
        ("../blobs/y", Some("https://a.example:5000/v2/x/blobs/y")),
        ("./y", Some("https://a.example:5000/v2/x/manifests/y")),
        ("..", Some("https://a.example:5000/v2/x/")),
        ("/a/./b/../c/.", Some("https://a.example:5000/a/c/")),
        ("/../../y", Some("https://a.example:5000/y")),
        ("/a//b", Some("https://a.example:5000/a//b")),
        ("https://", None),
    ];
    for (location, expected) in cases {
        let joined = join(&base, location).map(|uri| uri.to_string());
        assert_eq!(joined.as_deref(), expected, "{location}");
    }
}
