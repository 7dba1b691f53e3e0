//! Credentials that are issued for a while: what becomes of them when a registry refuses them, and where they go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube_autorollout_registry::{
    Asked as Wanted, Credential, CredentialChain, CredentialProvider, ErrorKind, Fingerprint,
    Issued, Issuing, ProviderError,
};

use crate::script::{Answer, Asked, Server, bob, client, index, resolve_with, status, token};

/// Issues the passwords `issued-1`, `issued-2` and so on, another one for each that was refused.
#[derive(Debug, Default)]
struct Issuer {
    issued: AtomicUsize,
    fails: bool,
    /// Whether it has nothing new for one that was refused.
    repeats: bool,
}

impl Issuer {
    fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

impl CredentialProvider for Issuer {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_parts(["issuer"])
    }

    fn issue<'a>(&'a self, asked: Wanted<'a>) -> Issuing<'a> {
        let now = self.issued();
        if now == 0 || (asked.refused.is_some() && !self.repeats) {
            self.issued.store(now + 1, Ordering::Relaxed);
        }
        let credential = Credential::password("cloud", format!("issued-{}", self.issued()));
        let issued = Issued::expiring(credential, Duration::from_secs(60), "cloud: somebody");
        let fails = self.fails;
        Box::pin(async move {
            if fails {
                let error = ProviderError::new("cloud: AccessDenied", "grant the role");
                return Err(error.retry_after(Duration::from_secs(30)));
            }
            Ok(issued)
        })
    }

    fn refusal_advice(&self) -> Option<&'static str> {
        Some("grant reading")
    }

    fn may_be_sent_to(&self, host: &str) -> bool {
        host == "token.cloud.example"
    }
}

fn chain(providers: &[Arc<dyn CredentialProvider>]) -> CredentialChain {
    providers.iter().cloned().collect()
}

/// Lets in who presents this password.
fn lets_in(password: &'static str) -> impl Fn(&Asked) -> Answer {
    let login = BASE64_STANDARD.encode(format!("cloud:{password}"));
    move |asked| match asked.authorization() {
        Some(sent) if sent == format!("Basic {login}") => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

#[tokio::test]
async fn a_refused_one_is_issued_anew_once_and_who_it_belongs_to_is_known() {
    let server = Server::start(lets_in("issued-2")).await;
    let issuer = Arc::new(Issuer::default());
    let chain = chain(&[Arc::clone(&issuer) as _]);
    let resolved = resolve_with(&client(), &server.image("web:1"), &chain).await;
    let resolved = resolved.expect("the second one is good");
    assert_eq!(issuer.issued(), 2);
    assert_eq!(resolved.identity.as_deref(), Some("cloud: somebody"));
}

#[tokio::test]
async fn one_that_is_refused_again_is_a_refusal_and_never_quarantined() {
    for code in [401, 403] {
        let server = Server::start(move |asked| {
            let challenge = r#"Basic realm="x""#;
            let code = asked.authorization().map_or(401, |_| code);
            status(code).with("www-authenticate", challenge)
        });
        let server = server.await;
        let (client, issuer) = (client(), Arc::new(Issuer::default()));
        let chain = chain(&[Arc::clone(&issuer) as _]);
        for round in 1..=3 {
            let error = resolve_with(&client, &server.image("web:1"), &chain).await;
            let error = error.expect_err("it is refused");
            let expected = [ErrorKind::Unauthorized, ErrorKind::Denied];
            assert!(expected.contains(&error.kind()), "round {round}: {error}");
            assert_eq!(error.provider_advice(), Some("grant reading"));
            let text = error.to_string();
            assert!(text.ends_with("; asked as cloud: somebody"), "{text}");
        }
        assert_eq!(issuer.issued(), 4, "the first, and one for each round");
        assert!(client.quarantined().is_empty());
    }
}

#[tokio::test]
async fn nothing_is_asked_twice_where_the_same_one_is_issued_again() {
    let server = Server::start(lets_in("another")).await;
    let issuer = Arc::new(Issuer {
        repeats: true,
        ..Issuer::default()
    });
    let chain = chain(&[issuer as _]);
    let error = resolve_with(&client(), &server.image("web:1"), &chain).await;
    let kind = error.expect_err("it is refused").kind();
    assert_eq!(kind, ErrorKind::Unauthorized);
    let presented = server.count(|asked| asked.authorization().is_some());
    assert_eq!(presented, 1);
}

#[tokio::test]
async fn a_provider_that_fails_is_no_refusal_of_the_registry_and_others_are_tried() {
    let server = Server::start(|asked| match asked.authorization() {
        Some("Basic Ym9iOmJvYi1zZWNyZXQ=") => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    });
    let server = server.await;
    let failing = || {
        Arc::new(Issuer {
            fails: true,
            ..Issuer::default()
        })
    };
    let client = client();
    let alone = chain(&[failing() as _]);
    let error = resolve_with(&client, &server.image("web:1"), &alone).await;
    let error = error.expect_err("nothing could be presented");
    assert_eq!(error.kind(), ErrorKind::CloudIdentity);
    assert!(
        error.to_string().ends_with("cloud: AccessDenied"),
        "{error}"
    );
    assert_eq!(error.provider_advice(), Some("grant the role"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert!(error.is_transient(), "it may be granted any time");
    assert_eq!(server.log().len(), 0, "never anonymously");
    assert!(client.quarantined().is_empty());

    let both = chain(&[failing() as _, Arc::new(bob()) as _]);
    let resolved = resolve_with(&client, &server.image("web:1"), &both).await;
    assert_eq!(resolved.expect("bob may").identity, None);
}

#[tokio::test]
async fn what_was_issued_is_sent_to_no_token_server_that_the_registry_alone_names() {
    let thief = Server::start(|_| token("stolen")).await;
    let realm = format!("http://{}/token", thief.host());
    let server = Server::start(move |_| {
        let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
        status(401).with("www-authenticate", &challenge)
    });
    let server = server.await;
    let chain = chain(&[Arc::new(Issuer::default()) as _]);
    let error = resolve_with(&client(), &server.image("web:1"), &chain).await;
    let error = error.expect_err("it does not go there");
    assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{error}");
    assert_eq!(thief.log().len(), 0);
}

#[tokio::test]
async fn a_token_of_the_registry_itself_is_fetched_anew_with_the_new_credential() {
    let login = BASE64_STANDARD.encode("cloud:issued-2");
    let server = Server::start(move |asked| {
        if asked.is_token() {
            return match asked.authorization() {
                Some(sent) if sent == format!("Basic {login}") => token("good"),
                _ => status(401),
            };
        }
        if asked.authorization() == Some("Bearer good") {
            return index("{}");
        }
        let realm = format!("http://{}/token", asked.host);
        status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#))
    });
    let server = server.await;
    let (client, issuer) = (client(), Arc::new(Issuer::default()));
    let chain = chain(&[Arc::clone(&issuer) as _]);
    for _ in 0..3 {
        let resolved = resolve_with(&client, &server.image("web:1"), &chain).await;
        resolved.expect("the second one is good");
    }
    assert_eq!(issuer.issued(), 2);
    assert_eq!(server.count(Asked::is_token), 2, "one was kept");
    assert_eq!(chain.fingerprint(), chain.clone().fingerprint());
}
