//! Requests from senders.

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName, header};
use serde::de::DeserializeOwned;

use crate::malformed::{MAX_BODY, Malformed};

/// A request as received. `Debug` shows only the length of its body.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The path component after the receiver's name ([`Route::secret`](crate::Route::secret)).
    pub path_secret: Option<&'a str>,
    /// The raw body, as it was signed.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Request({} bytes)", self.body.len())
    }
}

impl<'a> Request<'a> {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The content type without its parameters, in lower case.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.header(&header::CONTENT_TYPE)?;
        let essence = value.split(';').next()?;
        Some(essence.trim().to_ascii_lowercase())
    }

    fn is_form(&self) -> bool {
        self.content_type().as_deref() == Some("application/x-www-form-urlencoded")
    }

    /// Parses an object. `curl --data` sends JSON as a form, so a body is only rejected as a form if it is not JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        self.read_body(b'{')
    }

    /// Parses a list.
    pub(crate) fn json_list<T: DeserializeOwned>(&self) -> Result<Vec<T>, Malformed> {
        self.read_body(b'[')
    }

    fn read_body<T: DeserializeOwned>(&self, begin: u8) -> Result<T, Malformed> {
        let read = self.read_json(self.body, begin);
        let is_form = self.is_form() && matches!(read, Err(Malformed::Json { .. }));
        if is_form { Err(Malformed::Form) } else { read }
    }

    /// Parses the body, or the field `payload` of a form.
    pub(crate) fn json_or_form<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        if !self.is_form() {
            return self.json();
        }
        let mut fields = form_urlencoded::parse(self.body);
        let payload = fields.find(|(name, _)| name == "payload");
        let (_, json): (_, Cow<'_, str>) = payload.ok_or(Malformed::Form)?;
        self.read_json(json.as_bytes(), b'{')
    }

    fn read_json<T: DeserializeOwned>(&self, json: &[u8], begin: u8) -> Result<T, Malformed> {
        if self.body.len() > MAX_BODY {
            return Err(Malformed::TooLarge);
        }
        if json.is_empty() {
            return Err(Malformed::Empty);
        }
        let read = serde_json::from_slice(json).map_err(|error| Malformed::from_json(&error))?;
        // Serde also accepts a list for an object, in the order of its fields
        if json.trim_ascii_start().first() == Some(&begin) {
            Ok(read)
        } else {
            Err(Malformed::Shape { line: 1, column: 1 })
        }
    }
}
