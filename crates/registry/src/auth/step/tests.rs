use super::*;
use crate::auth::scheme::Bearer;

fn bearer(realm: &str) -> AuthScheme {
    let realm = format!("https://auth.example/{realm}");
    AuthScheme::Bearer(Bearer {
        realm: realm.parse().expect("an address"),
        service: None,
        scopes: Vec::new(),
    })
}

fn begin(remembered: Option<AuthScheme>, credential: Option<Presents>) -> Negotiation {
    Negotiation::new(remembered.map(Arc::new), credential, false)
}

fn remembered(scheme: AuthScheme) -> Negotiation {
    begin(Some(scheme), Some(Presents::Password))
}

fn unsupported() -> Repr {
    Repr::UnsupportedChallenge {
        schemes: String::new(),
    }
}

/// A 401 with a challenge.
fn refused(sent: Sent, scheme: AuthScheme) -> Event {
    let offered = Offered::Scheme(scheme);
    Event::Refused { sent, offered }
}

/// A 401 without a challenge.
fn unchallenged(sent: Sent) -> Event {
    let offered = Offered::Nothing(unsupported());
    Event::Refused { sent, offered }
}

fn answered(sent: Sent, status: u16) -> Event {
    let status = StatusCode::from_u16(status).expect("a status");
    Event::Answered { sent, status }
}

const KEPT: Sent = Sent::Token { replaceable: true };
const FRESH: Sent = Sent::Token { replaceable: false };
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
        (None, Some(Presents::Password), "send Nothing"),
        (Some(AuthScheme::Basic), None, "send Nothing"),
        (
            Some(AuthScheme::Basic),
            Some(Presents::Password),
            "send Basic",
        ),
        (
            Some(AuthScheme::Basic),
            Some(Presents::Static),
            "send Static",
        ),
        // It may take tokens by now.
        (Some(AuthScheme::Basic), Some(Presents::Identity), "restart"),
        (Some(bearer("a")), None, "fetch/a"),
        (Some(bearer("a")), Some(Presents::Password), "fetch/a"),
        (Some(bearer("a")), Some(Presents::Identity), "fetch/a"),
        (Some(bearer("a")), Some(Presents::Static), "send Static"),
    ];
    for (remembered, credential, expected) in cases {
        check(begin(remembered, credential), expected, []);
    }
}

#[test]
fn a_first_challenge_is_answered_if_there_is_anything_to_present() {
    let password = Some(Presents::Password);
    let basic = || refused(Sent::Nothing, AuthScheme::Basic);
    let token = || refused(Sent::Nothing, bearer("a"));
    let none = || unchallenged(Sent::Nothing);
    let cases = [
        (password, basic(), "send Basic"),
        (None, basic(), "fail Unauthorized"),
        (Some(Presents::Identity), basic(), "fail Unsupported"),
        (Some(Presents::Static), basic(), "send Static"),
        (None, token(), "fetch/a"),
        (password, token(), "fetch/a"),
        (password, none(), "ask base"),
        (None, none(), "fail Unsupported"),
    ];
    for (credential, event, expected) in cases {
        check(begin(None, credential), "send Nothing", [(event, expected)]);
    }
}

#[test]
fn a_refused_token_is_replaced_once_if_another_may_do_better() {
    let again = |sent| refused(sent, bearer("a"));
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (Event::TokenFetched, "send Token"),
            (again(KEPT), "fetch/a anew"),
            (Event::TokenFetched, "send Token"),
            (again(KEPT), "fail Repository"),
        ],
    );
    check(
        remembered(bearer("a")),
        "fetch/a",
        [(again(FRESH), "fail Repository")],
    );
}

#[test]
fn another_realm_is_asked_whatever_was_refused() {
    for sent in [KEPT, FRESH, Sent::Basic] {
        check(
            remembered(bearer("a")),
            "fetch/a",
            [(refused(sent, bearer("b")), "fetch/b anew")],
        );
    }
}

#[test]
fn a_refused_credential_is_not_presented_again() {
    for (credential, sent, first) in [
        (Presents::Password, Sent::Basic, "send Basic"),
        (Presents::Static, Sent::Static, "send Static"),
    ] {
        check(
            begin(Some(AuthScheme::Basic), Some(credential)),
            first,
            [(refused(sent, AuthScheme::Basic), "fail Credential")],
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
            (refused(KEPT, AuthScheme::Basic), "fetch/a anew"),
            (refused(FRESH, AuthScheme::Basic), "restart"),
            (refused(Sent::Nothing, bearer("a")), "fail NotAuthorized"),
        ],
    );
    // A registry that takes passwords now, and not this one.
    check(
        remembered(bearer("a")),
        "fetch/a",
        [
            (refused(FRESH, AuthScheme::Basic), "restart"),
            (refused(Sent::Nothing, AuthScheme::Basic), "send Basic"),
            (refused(Sent::Basic, AuthScheme::Basic), "fail Credential"),
        ],
    );
}

#[test]
fn a_token_server_that_fails_is_doubted_once() {
    let mut negotiation = remembered(bearer("a"));
    negotiation.step(Event::Begin);
    assert_eq!(name(&negotiation.step(OUTDATED)), "restart");
    let next = negotiation.step(refused(Sent::Nothing, bearer("b")));
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
    let password = Some(Presents::Password);
    let hidden = || answered(Sent::Nothing, 404);
    check(
        begin(None, password),
        "send Nothing",
        [
            (hidden(), "ask base"),
            (
                Event::Base(Offered::Scheme(AuthScheme::Basic)),
                "send Basic",
            ),
            (answered(Sent::Basic, 404), "done"),
        ],
    );
    let nothing = || Event::Base(Offered::Nothing(unsupported()));
    check(
        begin(None, password),
        "send Nothing",
        [(hidden(), "ask base"), (nothing(), "done")],
    );
    check(
        begin(None, password),
        "send Nothing",
        [
            (unchallenged(Sent::Nothing), "ask base"),
            (nothing(), "fail Unsupported"),
        ],
    );
    for (others, first) in [
        (begin(None, None), "send Nothing"),
        (Negotiation::new(None, password, true), "send Nothing"),
        (remembered(AuthScheme::Basic), "send Basic"),
    ] {
        check(others, first, [(hidden(), "done")]);
    }
}

#[test]
fn a_registry_that_names_ever_new_realms_is_given_up() {
    let mut negotiation = begin(None, None);
    negotiation.step(Event::Begin);
    for number in 1..MAX_REQUESTS {
        let next = negotiation.step(refused(FRESH, bearer(&number.to_string())));
        assert!(matches!(next, Action::FetchToken { .. }), "{next:?}");
        let next = negotiation.step(Event::TokenFetched);
        assert!(matches!(next, Action::Send(Means::Token)), "{next:?}");
    }
    negotiation.step(refused(FRESH, bearer("last")));
    assert_eq!(
        name(&negotiation.step(Event::TokenFetched)),
        "fail Repository"
    );
}
