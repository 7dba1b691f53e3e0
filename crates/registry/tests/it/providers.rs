//! Issued credentials: their renewal after a refusal, and the servers that get them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube_autorollout_registry::{
    Credential, CredentialChain, CredentialProvider, ErrorKind, Fingerprint, IssueFuture,
    IssueRequest, IssuedCredential, ProviderError,
};

use crate::script::{
    Answer, ReceivedRequest, Server, bob, client, index, resolve_with, status, token,
};

/// Issues the passwords `issued-1`, `issued-2` and so on, a new one after each refusal.
#[derive(Debug, Default)]
struct Issuer {
    issued: AtomicUsize,
    fails: bool,
    /// Issues the same password after a refusal.
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

    fn issue<'a>(&'a self, request: IssueRequest<'a>) -> IssueFuture<'a> {
        let now = self.issued();
        if now == 0 || (request.refused.is_some() && !self.repeats) {
            self.issued.store(now + 1, Ordering::Relaxed);
        }
        let credential = Credential::password("cloud", format!("issued-{}", self.issued()));
        let issued =
            IssuedCredential::expiring(credential, Duration::from_secs(60), "cloud: somebody");
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

/// Accepts this password.
fn accepts(password: &'static str) -> impl Fn(&ReceivedRequest) -> Answer {
    let login = BASE64_STANDARD.encode(format!("cloud:{password}"));
    move |request| match request.authorization() {
        Some(sent) if sent == format!("Basic {login}") => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

#[tokio::test]
async fn a_refused_credential_is_renewed_once_and_its_identity_reported() {
    let server = Server::start(accepts("issued-2")).await;
    let issuer = Arc::new(Issuer::default());
    let chain = chain(&[Arc::clone(&issuer) as _]);
    let resolved = resolve_with(&client(), &server.image("web:1"), &chain).await;
    let resolved = resolved.expect("the second one is good");
    assert_eq!(issuer.issued(), 2);
    assert_eq!(resolved.identity.as_deref(), Some("cloud: somebody"));
}

#[tokio::test]
async fn a_renewed_credential_that_is_refused_is_never_quarantined() {
    for code in [401, 403] {
        let server = Server::start(move |request| {
            let challenge = r#"Basic realm="x""#;
            let code = request.authorization().map_or(401, |_| code);
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
async fn an_unchanged_credential_is_not_retried() {
    let server = Server::start(accepts("another")).await;
    let issuer = Arc::new(Issuer {
        repeats: true,
        ..Issuer::default()
    });
    let chain = chain(&[issuer as _]);
    let error = resolve_with(&client(), &server.image("web:1"), &chain).await;
    let kind = error.expect_err("it is refused").kind();
    assert_eq!(kind, ErrorKind::Unauthorized);
    let presented = server.count(|request| request.authorization().is_some());
    assert_eq!(presented, 1);
}

#[tokio::test]
async fn after_a_failing_provider_the_next_one_is_tried() {
    let server = Server::start(|request| match request.authorization() {
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
async fn an_issued_credential_is_not_sent_to_arbitrary_token_servers() {
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
async fn a_renewed_credential_gets_a_new_token() {
    let login = BASE64_STANDARD.encode("cloud:issued-2");
    let server = Server::start(move |request| {
        if request.is_token() {
            return match request.authorization() {
                Some(sent) if sent == format!("Basic {login}") => token("good"),
                _ => status(401),
            };
        }
        if request.authorization() == Some("Bearer good") {
            return index("{}");
        }
        let realm = format!("http://{}/token", request.host);
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
    assert_eq!(server.count(ReceivedRequest::is_token), 2, "one was kept");
    assert_eq!(chain.fingerprint(), chain.clone().fingerprint());
}
