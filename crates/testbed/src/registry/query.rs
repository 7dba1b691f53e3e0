//! What a request for a token says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

/// The query of a token request.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) service: String,
    pub(super) scopes: Vec<String>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "service" => parameters.service = value.into_owned(),
                "scope" => {
                    let scopes = value.split_whitespace().map(str::to_owned);
                    parameters.scopes.extend(scopes);
                }
                _ => {}
            }
        }
        parameters
    }
}

/// The user and password of Basic authentication.
pub(super) fn login(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = text(headers, header::AUTHORIZATION).strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_with_several_scopes_in_one_or_more_parameters() {
        let query = "service=testbed-registry&scope=repository%3Aa%2Fb%3Apull+repository:c:pull%2Cpush&scope=x:y:z";
        let parameters = Parameters::read(query);
        assert_eq!(parameters.service, "testbed-registry");
        let expected = ["repository:a/b:pull", "repository:c:pull,push", "x:y:z"];
        assert_eq!(parameters.scopes, expected);
    }
}
