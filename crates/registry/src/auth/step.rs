//! Decides the next request of an exchange with a registry, without I/O.
//!
//! The scheme that a registry wants is remembered across calls, and may be outdated: its token server has moved, or it
//! accepts passwords now. So a remembered scheme is trusted only while it works. When it fails, the request is sent once
//! without authentication, and the challenge in the response counts.

use std::sync::Arc;

use http::StatusCode;

use super::scheme::{AuthScheme, Offer};
use crate::{credential::Secret, error::repr::Repr};

/// Requests that one exchange may send: with a cached token, with a fresh one, without authentication, with a token of
/// another realm, and with one of more scopes.
const MAX_REQUESTS: u32 = 6;

/// What happened last.
#[derive(Debug)]
pub(crate) enum Event {
    Start,
    TokenFetched,
    /// The request could not be authorized. `outdated`: the remembered scheme may be the reason.
    AuthorizationFailed {
        outdated: bool,
    },
    /// The registry responded with 401 and this offer. `replaceable`: it refused a token that is older than this call or
    /// shared with others, so a fresh one may be accepted.
    Unauthorized {
        replaceable: bool,
        offer: Offer,
    },
    /// The registry responded with another status.
    Response(StatusCode),
    /// The offer in the response of the registry's base.
    BaseOffer(Offer),
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Fetch a token of the scheme. `renew`: not the one that was refused.
    FetchToken { scheme: AuthScheme, renew: bool },
    /// Send the request.
    Send(AuthorizationKind),
    /// Forget the scheme, which does not work any more, and send the request without authentication.
    Restart(AuthScheme),
    /// Request the registry's base: the response had no challenge.
    RequestBase,
    /// Return the last response.
    Done,
    /// Authentication is impossible.
    Fail(Failure),
}

/// How a request is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthorizationKind {
    None,
    /// User name and password.
    Basic,
    /// The credential itself, as a token.
    Static,
    /// The token that was fetched.
    Token,
}

/// Why authentication is impossible.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request could not be authorized, for a reason that the caller has.
    AuthorizationFailed,
    CredentialRefused,
    /// The credential is accepted, but not for the repository.
    RepositoryRefused,
    /// The registry requires a credential, and there is none.
    CredentialRequired,
    /// No credential can answer the challenge, or this one cannot.
    UnsupportedChallenge(Repr),
}

/// The state of one exchange.
#[expect(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Negotiation {
    scheme: Option<AuthScheme>,
    /// The scheme was remembered from an earlier call and is not confirmed in this one.
    is_remembered: bool,
    credential: Option<Arc<Secret>>,
    /// The authorization of the last request.
    sent: AuthorizationKind,
    /// The remembered scheme that does not work.
    failed: Option<AuthScheme>,
    /// A refused token was replaced.
    renewed: bool,
    /// The base was requested, or need not be.
    base_requested: bool,
    /// The last response was a 401.
    unauthorized: bool,
    /// A scheme from a challenge, to be remembered.
    pub(crate) new_scheme: Option<AuthScheme>,
    requests: u32,
}

impl Negotiation {
    /// Starts with the remembered scheme, if there is one. `base_requested`: the registry's base has no challenge.
    pub(crate) fn new(
        remembered: Option<AuthScheme>,
        credential: Option<Arc<Secret>>,
        base_requested: bool,
    ) -> Self {
        Self {
            is_remembered: remembered.is_some(),
            scheme: remembered,
            credential,
            sent: AuthorizationKind::None,
            failed: None,
            renewed: false,
            base_requested,
            unauthorized: false,
            new_scheme: None,
            requests: 0,
        }
    }

    /// The action that follows from an event.
    pub(crate) fn step(&mut self, event: Event) -> Action {
        match event {
            Event::Start => self.authorize(false),
            Event::TokenFetched => self.send(AuthorizationKind::Token),
            Event::AuthorizationFailed { outdated } => {
                let restarted = if outdated { self.restart() } else { None };
                restarted.unwrap_or(Action::Fail(Failure::AuthorizationFailed))
            }
            Event::Unauthorized { replaceable, offer } => {
                self.unauthorized = true;
                self.challenged(replaceable, offer)
            }
            Event::Response(status) => {
                self.unauthorized = false;
                let may_hide = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
                if self.sent == AuthorizationKind::None && may_hide && self.wants_base() {
                    return Action::RequestBase;
                }
                Action::Done
            }
            // The scopes are those of the base, not of the repository.
            Event::BaseOffer(Offer::Scheme(scheme)) => {
                self.first_challenge(Offer::Scheme(scheme.without_scopes()))
            }
            Event::BaseOffer(offer) if self.unauthorized => self.first_challenge(offer),
            Event::BaseOffer(_) => Action::Done,
        }
    }

    /// Authorizes the next request under the scheme, as the credential permits.
    fn authorize(&mut self, renew: bool) -> Action {
        let Some(scheme) = &self.scheme else {
            return self.send(AuthorizationKind::None);
        };
        match (scheme, self.credential.as_deref()) {
            (_, Some(Secret::Bearer { .. })) => self.send(AuthorizationKind::Static),
            (AuthScheme::Bearer(_), _) => Action::FetchToken {
                scheme: scheme.clone(),
                renew,
            },
            (AuthScheme::Basic, None) => self.send(AuthorizationKind::None),
            (AuthScheme::Basic, Some(Secret::Password { .. })) => {
                self.send(AuthorizationKind::Basic)
            }
            (AuthScheme::Basic, Some(Secret::Identity { .. })) => {
                self.restart().unwrap_or_else(|| {
                    let repr =
                        Repr::UnsuitableCredential("basic, which an identity token cannot answer");
                    Action::Fail(Failure::UnsupportedChallenge(repr))
                })
            }
        }
    }

    fn send(&mut self, authorization: AuthorizationKind) -> Action {
        self.sent = authorization;
        self.count().unwrap_or(Action::Send(authorization))
    }

    /// Drops the scheme, if it is only remembered.
    fn restart(&mut self) -> Option<Action> {
        let scheme = self.scheme.take_if(|_| self.is_remembered)?;
        self.failed = Some(scheme.clone());
        self.sent = AuthorizationKind::None;
        Some(self.count().unwrap_or(Action::Restart(scheme)))
    }

    fn count(&mut self) -> Option<Action> {
        self.requests = self.requests.saturating_add(1);
        (self.requests > MAX_REQUESTS).then_some(Action::Fail(Failure::RepositoryRefused))
    }

    fn challenged(&mut self, replaceable: bool, offer: Offer) -> Action {
        match (self.sent, offer) {
            (AuthorizationKind::None, offer) => self.first_challenge(offer),
            // Other scopes or another realm, or tokens instead of passwords.
            (
                AuthorizationKind::Token | AuthorizationKind::Basic,
                Offer::Scheme(scheme @ AuthScheme::Bearer(_)),
            ) if self.scheme.as_ref() != Some(&scheme) => {
                self.adopt(scheme);
                self.authorize(true)
            }
            (AuthorizationKind::Basic | AuthorizationKind::Static, _) => {
                Action::Fail(Failure::CredentialRefused)
            }
            // Harbor offers Basic in response to any invalid token: the realm is the one that it named before.
            (AuthorizationKind::Token, _) if replaceable && !self.renewed => {
                self.renewed = true;
                self.authorize(true)
            }
            (AuthorizationKind::Token, Offer::Scheme(AuthScheme::Bearer(_))) => {
                Action::Fail(Failure::RepositoryRefused)
            }
            // So does a registry that does not accept tokens any more.
            (AuthorizationKind::Token, _) => {
                let restarted = self.restart();
                restarted.unwrap_or(Action::Fail(Failure::RepositoryRefused))
            }
        }
    }

    fn first_challenge(&mut self, offer: Offer) -> Action {
        match offer {
            Offer::Scheme(AuthScheme::Basic) if self.credential.is_none() => {
                Action::Fail(Failure::CredentialRequired)
            }
            Offer::Scheme(scheme) => {
                let is_unchanged = self.failed.as_ref() == Some(&scheme);
                self.adopt(scheme);
                match self.authorize(false) {
                    Action::Fail(failure) => Action::Fail(failure),
                    _ if is_unchanged => Action::Fail(Failure::AuthorizationFailed),
                    action => action,
                }
            }
            Offer::None(_) if self.wants_base() => Action::RequestBase,
            Offer::None(repr) | Offer::Unusable(repr) => {
                Action::Fail(Failure::UnsupportedChallenge(repr))
            }
        }
    }

    /// Whether to request the base, once per exchange: some registries respond with 403 or 404 to requests without
    /// authentication and send a challenge at their base only.
    fn wants_base(&mut self) -> bool {
        let wanted = self.credential.is_some() && !self.base_requested && self.scheme.is_none();
        self.base_requested |= wanted;
        wanted
    }

    fn adopt(&mut self, scheme: AuthScheme) {
        self.new_scheme = Some(scheme.clone());
        self.scheme = Some(scheme);
        self.is_remembered = false;
    }
}

#[cfg(test)]
mod tests;
