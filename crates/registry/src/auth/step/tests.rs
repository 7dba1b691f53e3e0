use super::*;
use crate::{auth::scheme::Bearer, credential::Credential};

fn bearer(realm: &str) -> AuthScheme {
    let realm = format!("https://auth.example/{realm}");
    AuthScheme::Bearer(Arc::new(Bearer {
        realm: realm.parse().expect("a URL"),
        service: None,
        scopes: Vec::new(),
    }))
}

fn start(remembered: Option<AuthScheme>, credential: Option<Arc<Secret>>) -> Negotiation {
    Negotiation::new(remembered, credential, false)
}

fn remembered(scheme: AuthScheme) -> Negotiation {
    start(Some(scheme), Some(password()))
}

fn unsupported() -> Repr {
    Repr::UnsupportedChallenge {
        schemes: String::new(),
    }
}

fn secret(credential: &Credential) -> Arc<Secret> {
    Arc::clone(&credential.secret)
}

fn password() -> Arc<Secret> {
    secret(&Credential::password("user", "password"))
}

fn identity() -> Arc<Secret> {
    secret(&Credential::identity("user", "token"))
}

/// A credential that is a token itself.
fn fixed() -> Arc<Secret> {
    secret(&Credential::bearer("token"))
}

/// A 401 with a challenge, not to a shared token.
fn refused(scheme: AuthScheme) -> Event {
    Event::Unauthorized {
        replaceable: false,
        offer: Offer::Scheme(scheme),
    }
}

/// The same to a shared token.
fn refused_shared(scheme: AuthScheme) -> Event {
    Event::Unauthorized {
        replaceable: true,
        offer: Offer::Scheme(scheme),
    }
}

/// A 401 without a challenge.
fn unchallenged() -> Event {
    Event::Unauthorized {
        replaceable: false,
        offer: Offer::None(unsupported()),
    }
}

fn not_found() -> Event {
    Event::Response(StatusCode::NOT_FOUND)
}

const FETCHED: Event = Event::TokenFetched;
const OUTDATED: Event = Event::AuthorizationFailed { outdated: true };

/// An action in short.
fn name(action: &Action) -> String {
    match action {
        Action::FetchToken { scheme, renew } => {
            let AuthScheme::Bearer(bearer) = scheme else {
                panic!("{action:?}");
            };
            let again = if *renew { " anew" } else { "" };
            format!("fetch{}{again}", bearer.realm.path())
        }
        Action::Send(kind) => format!("send {kind:?}"),
        Action::Restart(_) => "restart".to_owned(),
        Action::RequestBase => "request base".to_owned(),
        Action::Done => "done".to_owned(),
        Action::Fail(failure) => {
            let failure = format!("{failure:?}");
            format!("fail {}", failure.split('(').next().unwrap_or_default())
        }
    }
}

/// Checks the first action and the one after each event.
#[track_caller]
fn check<const N: usize>(mut negotiation: Negotiation, first: &str, rest: [(Event, &str); N]) {
    assert_eq!(name(&negotiation.step(Event::Start)), first);
    for (event, expected) in rest {
        let shown = format!("{event:?}");
        assert_eq!(name(&negotiation.step(event)), expected, "{shown}");
    }
}

#[test]
fn a_remembered_scheme_is_used_as_the_credential_permits() {
    let cases = [
        (None, Some(password()), "send None"),
        (Some(AuthScheme::Basic), None, "send None"),
        (Some(AuthScheme::Basic), Some(password()), "send Basic"),
        (Some(AuthScheme::Basic), Some(fixed()), "send Static"),
        // It may accept tokens now.
        (Some(AuthScheme::Basic), Some(identity()), "restart"),
        (Some(bearer("a")), None, "fetch/a"),
        (Some(bearer("a")), Some(password()), "fetch/a"),
        (Some(bearer("a")), Some(identity()), "fetch/a"),
        (Some(bearer("a")), Some(fixed()), "send Static"),
    ];
    for (remembered, credential, expected) in cases {
        check(start(remembered, credential), expected, []);
    }
}

#[test]
fn a_first_challenge_is_answered_if_the_credential_permits() {
    let basic = || refused(AuthScheme::Basic);
    let token = || refused(bearer("a"));
    let cases = [
        (Some(password()), basic(), "send Basic"),
        (None, basic(), "fail CredentialRequired"),
        (Some(identity()), basic(), "fail UnsupportedChallenge"),
        (Some(fixed()), basic(), "send Static"),
        (None, token(), "fetch/a"),
        (Some(password()), token(), "fetch/a"),
        (Some(password()), unchallenged(), "request base"),
        (None, unchallenged(), "fail UnsupportedChallenge"),
    ];
    for (credential, event, expected) in cases {
        check(start(None, credential), "send None", [(event, expected)]);
    }
}

#[test]
fn a_refused_shared_token_is_replaced_once() {
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused_shared(bearer("a")), "fetch/a anew"),
            (FETCHED, "send Token"),
            (refused_shared(bearer("a")), "fail RepositoryRefused"),
        ],
    );
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused(bearer("a")), "fail RepositoryRefused"),
        ],
    );
}

#[test]
fn a_new_realm_is_used_whatever_was_refused() {
    for event in [refused, refused_shared] {
        check(
            remembered(bearer("a")),
            "fetch/a",
            [
                (FETCHED, "send Token"),
                (event(bearer("b")), "fetch/b anew"),
            ],
        );
    }
    check(
        remembered(AuthScheme::Basic),
        "send Basic",
        [(refused(bearer("b")), "fetch/b anew")],
    );
}

#[test]
fn a_refused_credential_is_not_presented_again() {
    for (credential, first) in [(password(), "send Basic"), (fixed(), "send Static")] {
        check(
            start(Some(AuthScheme::Basic), Some(credential)),
            first,
            [(refused(AuthScheme::Basic), "fail CredentialRefused")],
        );
    }
}

#[test]
fn a_remembered_scheme_that_fails_is_replaced_by_the_challenge() {
    // Harbor, which still wants tokens.
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused_shared(AuthScheme::Basic), "fetch/a anew"),
            (FETCHED, "send Token"),
            (refused(AuthScheme::Basic), "restart"),
            (refused(bearer("a")), "fail AuthorizationFailed"),
        ],
    );
    // A registry that accepts passwords now, but not this one.
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused(AuthScheme::Basic), "restart"),
            (refused(AuthScheme::Basic), "send Basic"),
            (refused(AuthScheme::Basic), "fail CredentialRefused"),
        ],
    );
}

#[test]
fn a_failing_token_server_leads_to_one_restart() {
    let mut negotiation = remembered(bearer("a"));
    negotiation.step(Event::Start);
    assert_eq!(name(&negotiation.step(OUTDATED)), "restart");
    let next = negotiation.step(refused(bearer("b")));
    assert_eq!(name(&next), "fetch/b");
    assert_eq!(negotiation.new_scheme.take(), Some(bearer("b")));
    let next = negotiation.step(OUTDATED);
    assert_eq!(
        name(&next),
        "fail AuthorizationFailed",
        "the new scheme counts"
    );

    let busy = Event::AuthorizationFailed { outdated: false };
    check(
        remembered(bearer("a")),
        "fetch/a",
        [(busy, "fail AuthorizationFailed")],
    );
}

#[test]
fn the_base_is_requested_once_and_with_a_credential_only() {
    let unknown = || start(None, Some(password()));
    let basic = || Event::BaseOffer(Offer::Scheme(AuthScheme::Basic));
    let nothing = || Event::BaseOffer(Offer::None(unsupported()));
    check(
        unknown(),
        "send None",
        [
            (not_found(), "request base"),
            (basic(), "send Basic"),
            (not_found(), "done"),
        ],
    );
    check(
        unknown(),
        "send None",
        [(not_found(), "request base"), (nothing(), "done")],
    );
    check(
        unknown(),
        "send None",
        [
            (unchallenged(), "request base"),
            (nothing(), "fail UnsupportedChallenge"),
        ],
    );
    for (negotiation, first) in [
        (start(None, None), "send None"),
        (Negotiation::new(None, Some(password()), true), "send None"),
        (remembered(AuthScheme::Basic), "send Basic"),
    ] {
        check(negotiation, first, [(not_found(), "done")]);
    }
}

#[test]
fn a_registry_that_names_ever_new_realms_is_abandoned() {
    let mut negotiation = start(None, None);
    negotiation.step(Event::Start);
    for number in 1..MAX_REQUESTS {
        let next = negotiation.step(refused(bearer(&number.to_string())));
        assert!(matches!(next, Action::FetchToken { .. }), "{next:?}");
        let next = negotiation.step(Event::TokenFetched);
        assert!(
            matches!(next, Action::Send(AuthorizationKind::Token)),
            "{next:?}"
        );
    }
    negotiation.step(refused(bearer("last")));
    assert_eq!(
        name(&negotiation.step(Event::TokenFetched)),
        "fail RepositoryRefused"
    );
}
