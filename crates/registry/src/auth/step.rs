//! How a conversation with a registry goes on: decided without I/O.
//!
//! What a registry wants is remembered from one call to the next, and may have changed meanwhile: its token server has
//! another address, or it takes passwords now. So what was remembered counts only as long as it works. If it fails, the
//! registry is asked once without authentication, and what it says then counts.

use std::sync::Arc;

use http::StatusCode;

use super::scheme::{AuthScheme, Offered};
use crate::{credential::Secret, error::repr::Repr};

/// Requests that one conversation may cost at most: with a kept token, with a fresh one, without authentication, with a
/// token of another realm, and with one of more scopes.
const MAX_REQUESTS: u32 = 6;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Nothing yet.
    Begin,
    /// The token was fetched.
    TokenFetched,
    /// Nothing can be presented. `outdated`: as what is remembered of the registry may not hold any more.
    NotAuthorized { outdated: bool },
    /// The registry refuses what it was sent (401), and offers this. `replaceable`: that was a token that is older than
    /// this call, or that others use, too, so that another one may do better.
    Refused { replaceable: bool, offered: Offered },
    /// The registry answers with another status.
    Answered(StatusCode),
    /// The registry's base offers this.
    Base(Offered),
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Fetch a token of the scheme. `renew`: another one than the one that was refused.
    FetchToken {
        scheme: Arc<AuthScheme>,
        renew: bool,
    },
    /// Send the request.
    Send(Means),
    /// Forget the scheme, which does not work any more, and send the request without authentication.
    Restart(Arc<AuthScheme>),
    /// Ask for the challenge at the registry's base: the response had none.
    AskBase,
    /// The last response counts.
    Done,
    /// There is no way in.
    Fail(Failure),
}

/// By which means a request is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Nothing,
    /// User name and password.
    Basic,
    /// The credential itself, as a token.
    Static,
    /// The token that was fetched.
    Token,
}

/// Why there is no way in.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing could be presented, for the reason that is known.
    NotAuthorized,
    /// The credential is refused.
    Credential,
    /// The credential is good and may not read the repository.
    Repository,
    /// There is nothing to present.
    Unauthorized,
    /// No challenge can be answered.
    Unsupported(Repr),
}

/// How to authenticate.
#[derive(Debug)]
enum Known {
    Nothing,
    /// From before this call.
    Remembered(Arc<AuthScheme>),
    /// The registry has said so in this call.
    Learnt(Arc<AuthScheme>),
}

/// The state of one conversation.
pub(crate) struct Negotiation {
    scheme: Known,
    credential: Option<Arc<Secret>>,
    /// What the last request carried.
    sent: Means,
    /// What was remembered and does not work.
    failed: Option<Arc<AuthScheme>>,
    /// A refused token was replaced.
    renewed: bool,
    /// The base was asked, or need not be.
    base_asked: bool,
    /// The last response was a refusal.
    refused: bool,
    /// What the registry has said and is not remembered yet.
    news: Option<Arc<AuthScheme>>,
    requests: u32,
}

impl Negotiation {
    /// A conversation under the scheme that is remembered, if one is. `base_asked`: the registry's base has no challenge.
    pub(crate) fn new(
        remembered: Option<Arc<AuthScheme>>,
        credential: Option<Arc<Secret>>,
        base_asked: bool,
    ) -> Self {
        Self {
            scheme: remembered.map_or(Known::Nothing, Known::Remembered),
            credential,
            sent: Means::Nothing,
            failed: None,
            renewed: false,
            base_asked,
            refused: false,
            news: None,
            requests: 0,
        }
    }

    /// What comes after an event.
    pub(crate) fn step(&mut self, event: Event) -> Action {
        match event {
            Event::Begin => self.present(false),
            Event::TokenFetched => self.send(Means::Token),
            Event::NotAuthorized { outdated } => {
                let restarted = if outdated { self.restart() } else { None };
                restarted.unwrap_or(Action::Fail(Failure::NotAuthorized))
            }
            Event::Refused {
                replaceable,
                offered,
            } => {
                self.refused = true;
                self.challenged(replaceable, offered)
            }
            Event::Answered(status) => {
                self.refused = false;
                if self.sent == Means::Nothing && hides(status) && self.asks_base() {
                    return Action::AskBase;
                }
                Action::Done
            }
            Event::Base(offered) => self.challenged_by_base(offered),
        }
    }

    /// What the registry has said since this was asked, to be remembered.
    pub(crate) fn take_news(&mut self) -> Option<Arc<AuthScheme>> {
        self.news.take()
    }

    fn scheme(&self) -> Option<&Arc<AuthScheme>> {
        match &self.scheme {
            Known::Nothing => None,
            Known::Remembered(scheme) | Known::Learnt(scheme) => Some(scheme),
        }
    }

    /// Asks under the scheme, as the credential allows.
    fn present(&mut self, renew: bool) -> Action {
        let Some(scheme) = self.scheme() else {
            return self.send(Means::Nothing);
        };
        match (&**scheme, self.credential.as_deref()) {
            (AuthScheme::Basic, None) => self.send(Means::Nothing),
            (_, Some(Secret::Bearer { .. })) => self.send(Means::Static),
            (AuthScheme::Basic, Some(Secret::Password { .. })) => self.send(Means::Basic),
            (AuthScheme::Basic, Some(Secret::Identity { .. })) => {
                self.restart().unwrap_or_else(|| {
                    let schemes = "basic, which an identity token cannot answer".to_owned();
                    Action::Fail(Failure::Unsupported(Repr::UnsupportedChallenge { schemes }))
                })
            }
            (AuthScheme::Bearer(_), _) => Action::FetchToken {
                scheme: Arc::clone(scheme),
                renew,
            },
        }
    }

    fn send(&mut self, means: Means) -> Action {
        self.sent = means;
        self.count().unwrap_or(Action::Send(means))
    }

    /// Doubts what is remembered, if that is all that is known.
    fn restart(&mut self) -> Option<Action> {
        let Known::Remembered(scheme) = &self.scheme else {
            return None;
        };
        let scheme = Arc::clone(scheme);
        self.failed = Some(Arc::clone(&scheme));
        self.scheme = Known::Nothing;
        self.sent = Means::Nothing;
        Some(self.count().unwrap_or(Action::Restart(scheme)))
    }

    fn count(&mut self) -> Option<Action> {
        self.requests = self.requests.saturating_add(1);
        (self.requests > MAX_REQUESTS).then_some(Action::Fail(Failure::Repository))
    }

    fn challenged(&mut self, replaceable: bool, offered: Offered) -> Action {
        match (self.sent, offered) {
            (Means::Nothing, offered) => self.first_challenge(offered),
            // Other scopes or another realm, or tokens instead of passwords.
            (Means::Token | Means::Basic, Offered::Scheme(scheme @ AuthScheme::Bearer(_)))
                if self.scheme().is_none_or(|known| **known != scheme) =>
            {
                self.adopt(scheme);
                self.present(true)
            }
            (Means::Basic | Means::Static, _) => Action::Fail(Failure::Credential),
            // Harbor offers Basic to any bad token: the realm is the one that it named before.
            (Means::Token, _) if replaceable && !self.renewed => {
                self.renewed = true;
                self.present(true)
            }
            (Means::Token, Offered::Scheme(AuthScheme::Bearer(_))) => {
                Action::Fail(Failure::Repository)
            }
            // A registry that takes no tokens any more answers so, too.
            (Means::Token, _) => {
                let restarted = self.restart();
                restarted.unwrap_or(Action::Fail(Failure::Repository))
            }
        }
    }

    fn first_challenge(&mut self, offered: Offered) -> Action {
        match offered {
            Offered::Scheme(AuthScheme::Basic) if self.credential.is_none() => {
                Action::Fail(Failure::Unauthorized)
            }
            Offered::Scheme(scheme) => {
                let stands = self.failed.as_deref() == Some(&scheme);
                self.adopt(scheme);
                match self.present(false) {
                    Action::Fail(failure) => Action::Fail(failure),
                    // Nothing has changed since it failed.
                    _ if stands => Action::Fail(Failure::NotAuthorized),
                    action => action,
                }
            }
            Offered::Nothing(_) if self.asks_base() => Action::AskBase,
            Offered::Nothing(repr) | Offered::Unusable(repr) => {
                Action::Fail(Failure::Unsupported(repr))
            }
        }
    }

    fn challenged_by_base(&mut self, offered: Offered) -> Action {
        match offered {
            // Of the base; not of the repository.
            Offered::Scheme(scheme) => {
                self.first_challenge(Offered::Scheme(scheme.without_scopes()))
            }
            offered if self.refused => self.first_challenge(offered),
            _ => Action::Done,
        }
    }

    /// Whether the base is to be asked: the registry answered a request without authentication as if there were nothing,
    /// or nothing for anybody. Some say so instead of asking for credentials, and ask at their base only.
    fn asks_base(&mut self) -> bool {
        let ask = self.credential.is_some() && !self.base_asked && self.scheme().is_none();
        self.base_asked |= ask;
        ask
    }

    fn adopt(&mut self, scheme: AuthScheme) {
        let scheme = Arc::new(scheme);
        self.news = Some(Arc::clone(&scheme));
        self.scheme = Known::Learnt(scheme);
    }
}

/// Whether a response may hide from strangers what is there.
fn hides(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

#[cfg(test)]
mod tests;
