use super::*;
use crate::{auth::scheme::Bearer, credential::Credential};

fn bearer(realm: &str) -> AuthScheme {
    let realm = format!("https://auth.example/{realm}");
    AuthScheme::Bearer(Bearer {
        realm: realm.parse().expect("an address"),
        service: None,
        scopes: Vec::new(),
    })
}

fn begin(remembered: Option<AuthScheme>, credential: Option<Arc<Secret>>) -> Negotiation {
    Negotiation::new(remembered.map(Arc::new), credential, false)
}

fn remembered(scheme: AuthScheme) -> Negotiation {
    begin(Some(scheme), Some(password()))
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

/// A 401 with a challenge, to anything but a token that others may have, too.
fn refused(scheme: AuthScheme) -> Event {
    Event::Refused {
        replaceable: false,
        offered: Offered::Scheme(scheme),
    }
}

/// The same to a token that others may have, too.
fn refused_kept(scheme: AuthScheme) -> Event {
    Event::Refused {
        replaceable: true,
        offered: Offered::Scheme(scheme),
    }
}

/// A 401 without a challenge.
fn unchallenged() -> Event {
    Event::Refused {
        replaceable: false,
        offered: Offered::Nothing(unsupported()),
    }
}

fn not_found() -> Event {
    Event::Answered(StatusCode::NOT_FOUND)
}

const FETCHED: Event = Event::TokenFetched;
const OUTDATED: Event = Event::NotAuthorized { outdated: true };

/// An action in one or two words.
fn name(action: &Action) -> String {
    match action {
        Action::FetchToken { scheme, renew } => {
            let AuthScheme::Bearer(bearer) = &**scheme else {
                panic!("{action:?}");
            };
            let again = if *renew { " anew" } else { "" };
            format!("fetch{}{again}", bearer.realm.path())
        }
        Action::Send(means) => format!("send {means:?}"),
        Action::Restart(_) => "restart".to_owned(),
        Action::AskBase => "ask base".to_owned(),
        Action::Done => "done".to_owned(),
        Action::Fail(failure) => {
            let failure = format!("{failure:?}");
            format!("fail {}", failure.split('(').next().unwrap_or_default())
        }
    }
}

/// What follows from the beginning, and from each event.
#[track_caller]
fn check<const N: usize>(mut negotiation: Negotiation, first: &str, rest: [(Event, &str); N]) {
    assert_eq!(name(&negotiation.step(Event::Begin)), first);
    for (event, expected) in rest {
        let shown = format!("{event:?}");
        assert_eq!(name(&negotiation.step(event)), expected, "{shown}");
    }
}

#[test]
fn what_is_remembered_is_presented_as_the_credential_allows() {
    let cases = [
        (None, Some(password()), "send Nothing"),
        (Some(AuthScheme::Basic), None, "send Nothing"),
        (Some(AuthScheme::Basic), Some(password()), "send Basic"),
        (Some(AuthScheme::Basic), Some(fixed()), "send Static"),
        // It may take tokens by now.
        (Some(AuthScheme::Basic), Some(identity()), "restart"),
        (Some(bearer("a")), None, "fetch/a"),
        (Some(bearer("a")), Some(password()), "fetch/a"),
        (Some(bearer("a")), Some(identity()), "fetch/a"),
        (Some(bearer("a")), Some(fixed()), "send Static"),
    ];
    for (remembered, credential, expected) in cases {
        check(begin(remembered, credential), expected, []);
    }
}

#[test]
fn a_first_challenge_is_answered_if_there_is_anything_to_present() {
    let basic = || refused(AuthScheme::Basic);
    let token = || refused(bearer("a"));
    let cases = [
        (Some(password()), basic(), "send Basic"),
        (None, basic(), "fail Unauthorized"),
        (Some(identity()), basic(), "fail Unsupported"),
        (Some(fixed()), basic(), "send Static"),
        (None, token(), "fetch/a"),
        (Some(password()), token(), "fetch/a"),
        (Some(password()), unchallenged(), "ask base"),
        (None, unchallenged(), "fail Unsupported"),
    ];
    for (credential, event, expected) in cases {
        check(begin(None, credential), "send Nothing", [(event, expected)]);
    }
}

#[test]
fn a_refused_token_is_replaced_once_if_another_may_do_better() {
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused_kept(bearer("a")), "fetch/a anew"),
            (FETCHED, "send Token"),
            (refused_kept(bearer("a")), "fail Repository"),
        ],
    );
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused(bearer("a")), "fail Repository"),
        ],
    );
}

#[test]
fn another_realm_is_asked_whatever_was_refused() {
    for event in [refused, refused_kept] {
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
            begin(Some(AuthScheme::Basic), Some(credential)),
            first,
            [(refused(AuthScheme::Basic), "fail Credential")],
        );
    }
}

#[test]
fn what_is_remembered_and_does_not_work_is_found_out_without_authentication() {
    // Harbor, which still wants tokens.
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused_kept(AuthScheme::Basic), "fetch/a anew"),
            (FETCHED, "send Token"),
            (refused(AuthScheme::Basic), "restart"),
            (refused(bearer("a")), "fail NotAuthorized"),
        ],
    );
    // A registry that takes passwords now, and not this one.
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (FETCHED, "send Token"),
            (refused(AuthScheme::Basic), "restart"),
            (refused(AuthScheme::Basic), "send Basic"),
            (refused(AuthScheme::Basic), "fail Credential"),
        ],
    );
}

#[test]
fn a_token_server_that_fails_is_doubted_once() {
    let mut negotiation = remembered(bearer("a"));
    negotiation.step(Event::Begin);
    assert_eq!(name(&negotiation.step(OUTDATED)), "restart");
    let next = negotiation.step(refused(bearer("b")));
    assert_eq!(name(&next), "fetch/b");
    assert_eq!(negotiation.take_news().as_deref(), Some(&bearer("b")));
    let next = negotiation.step(OUTDATED);
    assert_eq!(name(&next), "fail NotAuthorized", "it counts");

    let busy = Event::NotAuthorized { outdated: false };
    check(
        remembered(bearer("a")),
        "fetch/a",
        [(busy, "fail NotAuthorized")],
    );
}

#[test]
fn the_base_is_asked_once_and_by_those_who_have_something_to_present() {
    let stranger = || begin(None, Some(password()));
    let basic = || Event::Base(Offered::Scheme(AuthScheme::Basic));
    let nothing = || Event::Base(Offered::Nothing(unsupported()));
    check(
        stranger(),
        "send Nothing",
        [
            (not_found(), "ask base"),
            (basic(), "send Basic"),
            (not_found(), "done"),
        ],
    );
    check(
        stranger(),
        "send Nothing",
        [(not_found(), "ask base"), (nothing(), "done")],
    );
    check(
        stranger(),
        "send Nothing",
        [
            (unchallenged(), "ask base"),
            (nothing(), "fail Unsupported"),
        ],
    );
    for (others, first) in [
        (begin(None, None), "send Nothing"),
        (
            Negotiation::new(None, Some(password()), true),
            "send Nothing",
        ),
        (remembered(AuthScheme::Basic), "send Basic"),
    ] {
        check(others, first, [(not_found(), "done")]);
    }
}

#[test]
fn a_registry_that_names_ever_new_realms_is_given_up() {
    let mut negotiation = begin(None, None);
    negotiation.step(Event::Begin);
    for number in 1..MAX_REQUESTS {
        let next = negotiation.step(refused(bearer(&number.to_string())));
        assert!(matches!(next, Action::FetchToken { .. }), "{next:?}");
        let next = negotiation.step(Event::TokenFetched);
        assert!(matches!(next, Action::Send(Means::Token)), "{next:?}");
    }
    negotiation.step(refused(bearer("last")));
    assert_eq!(
        name(&negotiation.step(Event::TokenFetched)),
        "fail Repository"
    );
}
