//! How a registry wants to be authenticated to.

use http::Uri;

use super::challenge::Challenge;
use crate::{error::repr::Repr, http::redirect_policy, origin::Origin};

/// More scopes than one manifest can need.
const MAX_SCOPES: usize = 8;

/// A way of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthScheme {
    Basic,
    Bearer(Bearer),
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) realm: Uri,
    pub(crate) service: Option<String>,
    /// What the registry asked for beyond reading the repository.
    pub(crate) scopes: Vec<String>,
}

/// What the challenges of a response offer.
#[derive(Debug)]
pub(crate) enum Offered {
    Scheme(AuthScheme),
    /// There is no challenge at all.
    Nothing(Repr),
    /// None that can be answered.
    Unusable(Repr),
}

impl AuthScheme {
    /// The best of what a registry offers at `asked`: Bearer before Basic, as a token exposes the credential to one server
    /// only.
    pub(crate) fn choose(
        challenges: &[Challenge],
        registry: &Origin,
        asked: &Uri,
        needed_scope: Option<&str>,
    ) -> Offered {
        let mut refused = None;
        for challenge in challenges.iter().filter(|one| one.scheme == "bearer") {
            match Bearer::of(challenge, registry, asked, needed_scope) {
                Ok(bearer) => return Offered::Scheme(Self::Bearer(bearer)),
                Err(repr) => refused = Some(repr),
            }
        }
        if challenges.iter().any(|one| one.scheme == "basic") {
            return Offered::Scheme(Self::Basic);
        }
        if challenges.is_empty() {
            return Offered::Nothing(unsupported(challenges));
        }
        Offered::Unusable(refused.unwrap_or_else(|| unsupported(challenges)))
    }

    /// The scheme as it may serve for other repositories.
    pub(crate) fn without_scopes(&self) -> Self {
        match self {
            Self::Basic => Self::Basic,
            Self::Bearer(bearer) => Self::Bearer(Bearer {
                scopes: Vec::new(),
                ..bearer.clone()
            }),
        }
    }
}

impl Bearer {
    fn of(
        challenge: &Challenge,
        registry: &Origin,
        asked: &Uri,
        needed_scope: Option<&str>,
    ) -> Result<Self, Repr> {
        let unusable = || Repr::UnsupportedChallenge {
            schemes: "bearer without a usable realm".to_owned(),
        };
        let realm = challenge.parameter("realm").ok_or_else(unusable)?;
        let realm = if realm.starts_with('/') {
            redirect_policy::join(asked, realm) // against the specification, and seen
        } else {
            realm.parse().ok()
        };
        let realm = realm.ok_or_else(unusable)?;
        redirect_policy::check(&realm, registry)?;
        let service = challenge
            .parameter("service")
            .filter(|service| !service.is_empty());
        let scopes = challenge.parameter("scope").unwrap_or_default();
        Ok(Self {
            realm,
            service: service.map(str::to_owned),
            scopes: scopes
                .split(' ')
                .filter(|scope| !scope.is_empty() && Some(*scope) != needed_scope)
                .take(MAX_SCOPES)
                .map(str::to_owned)
                .collect(),
        })
    }
}

fn unsupported(challenges: &[Challenge]) -> Repr {
    let schemes: Vec<&str> = challenges.iter().map(|one| one.scheme.as_str()).collect();
    Repr::UnsupportedChallenge {
        schemes: if schemes.is_empty() {
            "no named scheme".to_owned()
        } else {
            schemes.join(", ")
        },
    }
}
