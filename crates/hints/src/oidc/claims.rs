//! The claims of a token (<https://www.rfc-editor.org/rfc/rfc7519#section-4>).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Identity, OidcSettings, TokenError};

/// The tolerated clock skew, in seconds.
const LEEWAY: f64 = 60.0;

/// The longest subject that is shown, in characters.
const MAX_SUBJECT: usize = 256;

#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    /// Checks all but the issuer.
    pub(super) fn check(&self, settings: &OidcSettings, now: Timestamp) -> Result<(), TokenError> {
        let has_audience = match self.0.get("aud") {
            Some(Value::Array(list)) => list.iter().any(|entry| *entry == *settings.audience),
            Some(entry) => *entry == *settings.audience,
            None => false,
        };
        if !has_audience {
            return Err(TokenError::Audience);
        }
        let now = now.as_duration().as_secs_f64();
        if !self.time("exp")?.is_some_and(|end| now < end + LEEWAY) {
            return Err(TokenError::Expired);
        }
        let begins = [self.time("nbf")?, self.time("iat")?];
        if begins
            .into_iter()
            .flatten()
            .any(|begin| begin > now + LEEWAY)
        {
            return Err(TokenError::NotYetValid);
        }
        let mut wanted = settings.claims.iter();
        let missing = wanted.find(|(name, value)| !self.has(name, value));
        missing.map_or(Ok(()), |(name, _)| Err(TokenError::Claim(name.clone())))
    }

    /// Seconds since 1970, perhaps with a fraction.
    fn time(&self, name: &str) -> Result<Option<f64>, TokenError> {
        let value = self.0.get(name);
        value
            .map(|value| value.as_f64().ok_or(TokenError::Form))
            .transpose()
    }

    /// Whether a claim is this string, or a number or boolean with this JSON representation.
    fn has(&self, name: &str, wanted: &str) -> bool {
        match self.0.get(name) {
            Some(Value::String(text)) => text == wanted,
            Some(Value::Bool(flag)) => wanted == if *flag { "true" } else { "false" },
            Some(Value::Number(number)) => number.to_string() == wanted,
            _ => false,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let subject = self.0.get("sub").and_then(Value::as_str);
        let is_shown =
            |text: &&str| text.chars().count() <= MAX_SUBJECT && !text.contains(char::is_control);
        Identity {
            subject: subject.filter(is_shown).map(str::to_owned),
        }
    }
}
