//! How a conversation with a registry goes on after it has refused a question: decided without I/O.
//!
//! What a registry wants is remembered from one call to the next, and may have changed meanwhile: its token server has
//! another address, or it takes passwords now. So what was remembered counts only as long as it works. If it fails, the
//! registry is asked once without authentication, and what it says then counts.

use std::sync::Arc;

use crate::{fault::Fault, scheme::Scheme};

/// What the question carried that was refused with 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    /// A token. `replaceable`: it is older than this call or others use it, too, so that another one may do better.
    Token {
        replaceable: bool,
    },
    /// User name and password.
    Basic,
    /// The credential itself, as a token.
    Static,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Ask under the scheme. `renew`: not with the token that was refused.
    Ask { renew: bool },
    /// Ask without authentication: what was remembered does not work any more.
    AskAfresh(Arc<Scheme>),
    /// Nothing has changed since the scheme failed: the failure stands.
    FailureStands,
    /// Ask for the challenge at the registry's base: this answer had none.
    AskBase,
    /// The credential is refused.
    RefuseCredential,
    /// The credential is good and may not read the repository.
    RefuseRepository,
    /// There is nothing to present.
    Unauthorized,
    /// No challenge can be answered.
    Unsupported(Fault),
}

/// How to authenticate.
#[derive(Debug)]
enum Known {
    Nothing,
    /// From before this call.
    Remembered(Arc<Scheme>),
    /// The registry has said so in this call.
    Learnt(Arc<Scheme>),
}

/// The state of one conversation.
#[derive(Debug)]
pub(crate) struct Negotiation {
    scheme: Known,
    /// What was remembered and does not work.
    failed: Option<Arc<Scheme>>,
    /// A refused token was replaced.
    renewed: bool,
    /// The base was asked, or need not be.
    base_asked: bool,
    has_credential: bool,
}

impl Negotiation {
    /// A conversation under the scheme that is remembered, if one is. `base_asked`: the registry's base has no challenge.
    pub(crate) fn new(
        remembered: Option<Arc<Scheme>>,
        has_credential: bool,
        base_asked: bool,
    ) -> Self {
        Self {
            scheme: remembered.map_or(Known::Nothing, Known::Remembered),
            failed: None,
            renewed: false,
            base_asked,
            has_credential,
        }
    }

    /// How to ask now; none: without authentication.
    pub(crate) fn scheme(&self) -> Option<&Arc<Scheme>> {
        match &self.scheme {
            Known::Nothing => None,
            Known::Remembered(scheme) | Known::Learnt(scheme) => Some(scheme),
        }
    }

    /// What the registry has said in this conversation.
    pub(crate) fn learnt(&self) -> Option<&Arc<Scheme>> {
        match &self.scheme {
            Known::Learnt(scheme) => Some(scheme),
            Known::Nothing | Known::Remembered(_) => None,
        }
    }

    /// The registry's base was asked.
    pub(crate) fn challenged_by_base(&mut self, offered: Offered) -> Next {
        match offered {
            // Of the base; not of the repository.
            Offered::Scheme(scheme) => {
                self.first_challenge(Offered::Scheme(scheme.without_scopes()))
            }
            Offered::Nothing(fault) | Offered::Unusable(fault) => Next::Unsupported(fault),
        }
    }

    /// No token could be had. Returns the scheme that is to be forgotten, if it makes sense to ask afresh.
    pub(crate) fn token_failed(&mut self) -> Option<Arc<Scheme>> {
        let Known::Remembered(scheme) = &self.scheme else {
            return None;
        };
        self.failed = Some(Arc::clone(scheme));
        self.scheme = Known::Nothing;
        self.failed.clone()
    }

    /// A question was refused with 401, with these challenges.
    pub(crate) fn challenged(&mut self, sent: Sent, offered: Offered) -> Next {
        match (sent, offered) {
            (Sent::Nothing, offered) => self.first_challenge(offered),
            // Other scopes or another realm, or tokens in the place of passwords.
            (Sent::Token { .. } | Sent::Basic, Offered::Scheme(scheme @ Scheme::Bearer(_)))
                if self.scheme().is_none_or(|known| **known != scheme) =>
            {
                self.adopt(scheme);
                Next::Ask { renew: true }
            }
            (Sent::Basic | Sent::Static, _) => Next::RefuseCredential,
            // Harbor offers Basic to any bad token: the realm is the one that it named before.
            (Sent::Token { replaceable: true }, _) if !self.renewed => {
                self.renewed = true;
                Next::Ask { renew: true }
            }
            (Sent::Token { .. }, Offered::Scheme(Scheme::Bearer(_))) => Next::RefuseRepository,
            // A registry that takes no tokens any more answers so, too.
            (Sent::Token { .. }, _) => self
                .token_failed()
                .map_or(Next::RefuseRepository, Next::AskAfresh),
        }
    }

    /// The registry answered a question without authentication as if there were nothing, or nothing for anybody. Some
    /// say so instead of asking for credentials, and ask at their base only.
    pub(crate) fn hidden(&mut self) -> bool {
        let ask = self.has_credential && !self.base_asked && self.scheme().is_none();
        self.base_asked |= ask;
        ask
    }

    fn first_challenge(&mut self, offered: Offered) -> Next {
        match offered {
            Offered::Scheme(Scheme::Basic) if !self.has_credential => Next::Unauthorized,
            Offered::Scheme(scheme) if self.failed.as_deref() == Some(&scheme) => {
                self.adopt(scheme);
                Next::FailureStands
            }
            Offered::Scheme(scheme) => {
                self.adopt(scheme);
                Next::Ask { renew: false }
            }
            Offered::Nothing(_) if self.hidden() => Next::AskBase,
            Offered::Nothing(fault) | Offered::Unusable(fault) => Next::Unsupported(fault),
        }
    }

    fn adopt(&mut self, scheme: Scheme) {
        self.scheme = Known::Learnt(Arc::new(scheme));
    }
}

/// What the challenges of an answer offer.
#[derive(Debug)]
pub(crate) enum Offered {
    Scheme(Scheme),
    /// There is no challenge at all.
    Nothing(Fault),
    /// None that can be answered.
    Unusable(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str) -> Scheme {
        let realm = format!("https://auth.example/{realm}");
        Scheme::Bearer(crate::scheme::Bearer {
            realm: realm.parse().expect("an address"),
            service: None,
            scopes: Vec::new(),
        })
    }

    fn remembered(scheme: Scheme) -> Negotiation {
        Negotiation::new(Some(Arc::new(scheme)), true, false)
    }

    fn offered(scheme: Scheme) -> Offered {
        Offered::Scheme(scheme)
    }

    fn nothing() -> Offered {
        let schemes = String::new();
        Offered::Nothing(Fault::UnsupportedChallenge { schemes })
    }

    const KEPT: Sent = Sent::Token { replaceable: true };
    const FRESH: Sent = Sent::Token { replaceable: false };

    /// The names of the steps that follow from refusals.
    fn steps<const N: usize>(
        mut negotiation: Negotiation,
        refusals: [(Sent, Offered); N],
    ) -> [String; N] {
        refusals.map(|(sent, offered)| {
            let next = format!("{:?}", negotiation.challenged(sent, offered));
            let name = next.split(['(', ' ']).next().unwrap_or_default();
            let renewed = next.contains("renew: true");
            format!("{name}{}", if renewed { " anew" } else { "" })
        })
    }

    #[test]
    fn a_first_challenge_is_answered_if_there_is_anything_to_present() {
        let new = |credential| Negotiation::new(None, credential, false);
        let first = |offered, credential| steps(new(credential), [(Sent::Nothing, offered)]);
        assert_eq!(first(offered(Scheme::Basic), true), ["Ask"]);
        assert_eq!(first(offered(Scheme::Basic), false), ["Unauthorized"]);
        assert_eq!(first(offered(bearer("a")), false), ["Ask"]);
        assert_eq!(first(nothing(), true), ["AskBase"]);
        assert_eq!(first(nothing(), false), ["Unsupported"]);
    }

    #[test]
    fn a_refused_token_is_replaced_once_if_another_may_do_better() {
        let again = || offered(bearer("a"));
        let kept = remembered(bearer("a"));
        assert_eq!(
            steps(kept, [(KEPT, again()), (KEPT, again())]),
            ["Ask anew", "RefuseRepository"]
        );
        let fresh = remembered(bearer("a"));
        assert_eq!(steps(fresh, [(FRESH, again())]), ["RefuseRepository"]);
    }

    #[test]
    fn another_realm_is_asked_whatever_was_refused() {
        for sent in [KEPT, FRESH, Sent::Basic] {
            let negotiation = remembered(bearer("a"));
            assert_eq!(
                steps(negotiation, [(sent, offered(bearer("b")))]),
                ["Ask anew"],
                "{sent:?}"
            );
        }
    }

    #[test]
    fn what_is_remembered_and_does_not_work_is_found_out_without_authentication() {
        // Harbor, which still wants tokens.
        let harbor = [
            (KEPT, offered(Scheme::Basic)),
            (FRESH, offered(Scheme::Basic)),
            (Sent::Nothing, offered(bearer("a"))),
        ];
        assert_eq!(
            steps(remembered(bearer("a")), harbor),
            ["Ask anew", "AskAfresh", "FailureStands"]
        );
        // A registry that takes passwords now, and not this one.
        let passwords = [
            (FRESH, offered(Scheme::Basic)),
            (Sent::Nothing, offered(Scheme::Basic)),
            (Sent::Basic, offered(Scheme::Basic)),
        ];
        assert_eq!(
            steps(remembered(bearer("a")), passwords),
            ["AskAfresh", "Ask", "RefuseCredential"]
        );
    }

    #[test]
    fn a_token_server_that_fails_is_doubted_once() {
        let mut negotiation = remembered(bearer("a"));
        assert_eq!(negotiation.token_failed().as_deref(), Some(&bearer("a")));
        assert!(negotiation.scheme().is_none(), "nothing is presented");
        let next = negotiation.challenged(Sent::Nothing, offered(bearer("b")));
        assert!(matches!(next, Next::Ask { .. }), "{next:?}");
        assert_eq!(negotiation.learnt().map(|new| &**new), Some(&bearer("b")));
        assert!(negotiation.token_failed().is_none(), "the failure counts");
    }

    #[test]
    fn the_base_is_asked_once_and_by_those_who_have_something_to_present() {
        let mut negotiation = Negotiation::new(None, true, false);
        assert!(negotiation.hidden());
        let next = negotiation.challenged_by_base(offered(Scheme::Basic));
        assert!(matches!(next, Next::Ask { .. }), "{next:?}");
        for mut others in [
            negotiation,
            Negotiation::new(None, false, false),
            Negotiation::new(None, true, true),
            remembered(Scheme::Basic),
        ] {
            assert!(!others.hidden(), "{others:?}");
        }
    }
}
