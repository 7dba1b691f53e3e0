//! Authentication schemes that registries offer.

use std::sync::Arc;

use http::Uri;
use url::{Url, form_urlencoded};

use super::challenge::Challenge;
use crate::{error::repr::Repr, http::redirect_policy, origin::Origin};

/// More scopes than one manifest can need.
const MAX_SCOPES: usize = 8;

/// The longest realm, service and scopes together, in bytes: challenges are remembered, and those of registries have some
/// hundred.
const MAX_BYTES: usize = 4 * 1024;

/// The part of a scheme's name that is reported, in bytes.
const MAX_NAME: usize = 32;

/// How a registry authenticates requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthScheme {
    Basic,
    Bearer(Arc<Bearer>),
}

/// A token server, as a challenge names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) realm: Uri,
    pub(crate) service: Option<String>,
    /// Scopes of the challenge beyond reading the repository.
    pub(crate) scopes: Vec<String>,
}

/// What the challenges of a response offer.
#[derive(Debug)]
pub(crate) enum Offer {
    Scheme(AuthScheme),
    /// There is no challenge.
    None(Repr),
    /// No challenge can be answered.
    Unusable(Repr),
}

impl AuthScheme {
    /// Chooses from the challenges of a registry's response to a request for `uri`: Bearer before Basic, as a token
    /// exposes the credential to one server only.
    pub(crate) fn choose(
        challenges: &[Challenge],
        registry: &Origin,
        uri: &Uri,
        needed_scope: Option<&str>,
    ) -> Offer {
        let mut refused = None;
        let is_bearer = |challenge: &&Challenge| challenge.scheme == "bearer";
        for challenge in challenges.iter().filter(is_bearer) {
            match Bearer::of(challenge, registry, uri, needed_scope) {
                Ok(bearer) => return Offer::Scheme(Self::Bearer(Arc::new(bearer))),
                Err(repr) => refused = Some(repr),
            }
        }
        let schemes = challenges.iter().map(|challenge| &*challenge.scheme);
        let schemes = schemes.map(|name| name.get(..MAX_NAME).unwrap_or(name));
        let schemes: Vec<&str> = schemes.collect();
        if schemes.contains(&"basic") {
            return Offer::Scheme(Self::Basic);
        }
        if schemes.is_empty() {
            let schemes = "no named scheme".to_owned();
            return Offer::None(Repr::UnsupportedChallenge { schemes });
        }
        Offer::Unusable(refused.unwrap_or_else(|| Repr::UnsupportedChallenge {
            schemes: schemes.join(", "),
        }))
    }

    /// The scheme as it may apply to other repositories.
    pub(crate) fn without_scopes(&self) -> Self {
        match self {
            Self::Bearer(bearer) if !bearer.scopes.is_empty() => Self::Bearer(Arc::new(Bearer {
                scopes: Vec::new(),
                ..Bearer::clone(bearer)
            })),
            scheme => scheme.clone(),
        }
    }
}

impl Bearer {
    fn of(
        challenge: &Challenge,
        registry: &Origin,
        uri: &Uri,
        needed_scope: Option<&str>,
    ) -> Result<Self, Repr> {
        let unusable = || Repr::UnsupportedChallenge {
            schemes: "bearer without a usable realm".to_owned(),
        };
        let parameter = |name| challenge.parameter(name).filter(|value| !value.is_empty());
        let named = ["realm", "service", "scope"].map(parameter);
        let length: usize = named.iter().flatten().map(|value| value.len()).sum();
        if length > MAX_BYTES {
            return Err(Repr::UnsupportedChallenge {
                schemes: format!("bearer with parameters of more than {MAX_BYTES} bytes"),
            });
        }
        let [realm, service, scopes] = named;
        let realm = realm.ok_or_else(unusable)?;
        let realm = if realm.starts_with('/') {
            redirect_policy::join(uri, realm) // against the specification, but seen in practice
        } else {
            realm.parse().ok()
        };
        let realm = realm.ok_or_else(unusable)?;
        redirect_policy::check(&realm, registry)?;
        Ok(Self {
            realm,
            service: service.map(str::to_owned),
            scopes: scopes
                .unwrap_or_default()
                .split(' ')
                .filter(|scope| !scope.is_empty() && Some(*scope) != needed_scope)
                .take(MAX_SCOPES)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The URL of a token request by GET: the realm, with a `scope` parameter for each scope.
    pub(crate) fn token_uri(&self, scopes: &[String]) -> Option<Uri> {
        let mut url = Url::parse(&self.realm.to_string()).ok()?;
        let service = self.service.iter().map(|service| ("service", service));
        let scopes = scopes.iter().map(|scope| ("scope", scope));
        url.query_pairs_mut().extend_pairs(service.chain(scopes));
        url.as_str().parse().ok()
    }

    /// The form of an `OAuth2` token refresh: one `scope` field for all scopes.
    pub(crate) fn refresh_form(
        &self,
        client_id: &str,
        scopes: &[String],
        refresh_token: &str,
    ) -> String {
        let service = self.service.iter();
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("client_id", client_id)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", refresh_token)
            .finish()
    }
}
