//! What a token server is asked, and what its response says.

use http::{StatusCode, Uri};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{scheme::Bearer, token::Token};
use crate::{error::repr::Repr, http::Response};

/// What a token server says of a credential.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TokenVerdict {
    Refused,
    /// Of this repository, or of the credential altogether.
    Forbidden {
        suspends: bool,
    },
}

/// What a response without a token says of the credential, if it says anything.
pub(crate) fn verdict(repr: &Repr, response: &Response) -> Option<TokenVerdict> {
    match repr {
        Repr::Unauthorized { .. } => Some(TokenVerdict::Refused),
        Repr::TokenDenied { .. } => Some(TokenVerdict::Forbidden {
            suspends: response.is_artifactory(),
        }),
        _ => None,
    }
}

/// The token in a response.
pub(crate) fn read(response: &Response, had_credentials: bool) -> Result<Token, Repr> {
    let mut codes = response.said.codes.iter();
    match response.status {
        StatusCode::OK => Token::read(&response.body, Instant::now()),
        StatusCode::UNAUTHORIZED => Err(Repr::Unauthorized { had_credentials }),
        // A refresh token that is not valid any more: RFC 6749, section 5.2.
        StatusCode::BAD_REQUEST if codes.any(|code| code == "invalid_grant") => {
            Err(Repr::Unauthorized { had_credentials })
        }
        StatusCode::FORBIDDEN => Err(Repr::TokenDenied { had_credentials }),
        status => Err(Repr::TokenStatus(status)),
    }
}

/// Where a token is asked for with GET: one `scope` for each, and what the realm had already.
pub(crate) fn token_uri(bearer: &Bearer, scopes: &[String]) -> Option<Uri> {
    let mut url = Url::parse(&bearer.realm.to_string()).ok()?;
    let service = bearer.service.iter().map(|service| ("service", service));
    let scopes = scopes.iter().map(|scope| ("scope", scope));
    url.query_pairs_mut().extend_pairs(service.chain(scopes));
    url.as_str().parse().ok()
}

/// The form of an `OAuth2` refresh: one `scope` for all.
pub(crate) fn refresh_form(
    bearer: &Bearer,
    client_id: &str,
    scopes: &[String],
    refresh_token: &str,
) -> String {
    let service = bearer.service.iter();
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .extend_pairs(service.map(|service| ("service", service)))
        .append_pair("client_id", client_id)
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", refresh_token)
        .finish()
}
