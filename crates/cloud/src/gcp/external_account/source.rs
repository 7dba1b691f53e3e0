//! The source of the platform's token: a file or a URL.

use std::{collections::BTreeMap, fmt};

use kube_autorollout_registry::ExternalRequest;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    environment::read_text,
    failure::Failure,
    http::{
        ENDPOINT_TIMEOUT, Http, METADATA_TIMEOUT, error_response, host_of, is_local, malformed,
        send,
    },
};

const STEP: &str = "gcp: credential_source";

const SUPPORTED: &str = "use a credential_source with file (such as the projected token of the ServiceAccount) or url; others are not supported";

const FILE: &str = "mount the projected token of the controller's ServiceAccount, with the audience of the workload identity provider, where credential_source.file says";

const URL: &str = "correct credential_source.url: it is asked over https, or over http at a link-local or loopback address";

const FORMAT: &str = "correct credential_source.format: what was read is no JSON object with the field of subject_token_field_name";

/// The `credential_source` of the file.
#[derive(Deserialize, Default)]
pub(super) struct CredentialSource {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
    executable: Option<Value>,
    environment_id: Option<Value>,
    certificate: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Format {
    r#type: Option<String>,
    subject_token_field_name: Option<String>,
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CredentialSource(..)") // its headers may hold a secret
    }
}

impl CredentialSource {
    /// Reads the platform's token. It rotates, so it is not cached.
    pub(super) async fn token(&self, http: &Http) -> Result<String, Failure> {
        let others = [&self.executable, &self.environment_id, &self.certificate];
        if others.iter().any(|other| other.is_some()) {
            let what = "it is a program, AWS or a certificate";
            return Err(Failure::permanent(STEP, what, SUPPORTED));
        }
        let text = match (&self.file, &self.url) {
            (Some(file), _) => read_text(STEP, "credential_source.file", file, FILE)?,
            (None, Some(url)) => self.fetch(url, http).await?,
            (None, None) => {
                let what = "it has neither file nor url";
                return Err(Failure::permanent(STEP, what, SUPPORTED));
            }
        };
        self.subject(&text)
    }

    async fn fetch(&self, url: &str, http: &Http) -> Result<String, Failure> {
        let step = format!("{STEP} at {}", host_of(url));
        let parsed = url.parse::<Url>().ok();
        let local = parsed.as_ref().is_some_and(is_local);
        let scheme = parsed.as_ref().map_or("", Url::scheme);
        if scheme != "https" && !(scheme == "http" && local) {
            let what = "the URL is neither https nor that of a metadata server";
            return Err(Failure::permanent(step, what, URL));
        }
        let request = |timeout| {
            let request = ExternalRequest::get(url, timeout);
            let headers = self.headers.iter();
            headers.fold(request, |request, (name, value)| {
                request.header(name, value)
            })
        };
        let response = if local {
            http.send_to_metadata_server(&step, || request(METADATA_TIMEOUT))
                .await?
        } else {
            send(&http.endpoints, &step, request(ENDPOINT_TIMEOUT)).await?
        };
        if response.status() != 200 {
            return Err(error_response(&step, &response, None, URL));
        }
        let text = std::str::from_utf8(response.body()).map_err(|_| malformed(&step))?;
        Ok(text.trim().to_owned())
    }

    /// Extracts the token.
    fn subject(&self, text: &str) -> Result<String, Failure> {
        let token = match self.format.r#type.as_deref() {
            None | Some("text") => Some(text.to_owned()),
            Some("json") => self.field(text),
            Some(_) => None,
        };
        let token = token.filter(|token| !token.is_empty());
        token.ok_or_else(|| Failure::permanent(STEP, "there is no token in what was read", FORMAT))
    }

    fn field(&self, text: &str) -> Option<String> {
        let name = self.format.subject_token_field_name.as_deref()?;
        let object: Value = serde_json::from_str(text).ok()?;
        object.get(name)?.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(json: &str) -> CredentialSource {
        serde_json::from_str(json).expect("a source")
    }

    #[test]
    fn a_token_is_the_text_or_a_field_of_it() {
        let text = source(r#"{"file": "x"}"#);
        assert_eq!(text.subject("token").as_deref(), Ok("token"));
        let json = r#"{"file": "x", "format": {"type": "json", "subject_token_field_name": "t"}}"#;
        let json = source(json);
        assert_eq!(json.subject(r#"{"t": "token"}"#).as_deref(), Ok("token"));
        for wrong in [
            "token",
            r#"{"u": "planted"}"#,
            r#"{"t": 1}"#,
            r#"{"t": ""}"#,
        ] {
            let failure = json.subject(wrong).expect_err(wrong);
            assert!(!format!("{failure:?}").contains("planted"));
        }
        let xml = source(r#"{"file": "x", "format": {"type": "xml"}}"#);
        assert!(xml.subject("token").is_err());
    }
}
