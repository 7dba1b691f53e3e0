//! What a token server is asked, and what its response says.

use http::{StatusCode, Uri, uri::PathAndQuery};
use tokio::time::Instant;

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

/// The fields of a form or a query.
struct Fields(form_urlencoded::Serializer<'static, String>);

impl Fields {
    fn new(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().to_owned();
        Self(form_urlencoded::Serializer::for_suffix(query, 0))
    }

    fn service(&mut self, bearer: &Bearer) {
        if let Some(service) = &bearer.service {
            self.0.append_pair("service", service);
        }
    }
}

/// Where a token is asked for with GET: one `scope` for each, and what the realm had already.
pub(crate) fn token_uri(bearer: &Bearer, scopes: &[String]) -> Option<Uri> {
    let mut fields = Fields::new(bearer.realm.query());
    fields.service(bearer);
    for scope in scopes {
        fields.0.append_pair("scope", scope);
    }
    with_query(&bearer.realm, &fields.0.finish())
}

/// The form of an `OAuth2` refresh: one `scope` for all.
pub(crate) fn refresh_form(
    bearer: &Bearer,
    client_id: &str,
    scopes: &[String],
    refresh_token: &str,
) -> String {
    let mut fields = Fields::new(None);
    fields.0.append_pair("grant_type", "refresh_token");
    fields.service(bearer);
    fields
        .0
        .append_pair("client_id", client_id)
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", refresh_token);
    fields.0.finish()
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let path = PathAndQuery::try_from(format!("{}?{query}", uri.path())).ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}
