//! Workload identity federation: <https://google.aip.dev/auth/4117> and
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>.

mod source;

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_registry::{ExternalRequest, ExternalResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use self::source::CredentialSource;
use super::{AccessToken, SCOPE};
use crate::{
    environment::read_text,
    failure::{Failure, code},
    grant::{at_least_minimum, remaining_until},
    http::{ENDPOINT_TIMEOUT, Http, error_response, host_of, malformed, parse, post_form, send},
};

pub(super) const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

const UNIVERSE: &str = "googleapis.com";

const FILE: &str = "mount the JSON that `gcloud iam workload-identity-pools create-cred-config` writes, and name it in GOOGLE_APPLICATION_CREDENTIALS";

const KEY: &str = "use the key as the password of the user _json_key, in a Secret of the pods or of type Opaque, instead of CloudIdentity";

const POOL: &str = "check the audience of the file, and what its workload identity provider accepts: issuer, audience and attribute condition for the controller's ServiceAccount";

const IMPERSONATION: &str = "grant roles/iam.workloadIdentityUser on the service account to the principal of the workload identity pool, and enable the IAM Credentials API of its project";

/// The file that the variable names.
#[derive(Deserialize)]
struct Configuration {
    r#type: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    subject_token_type: String,
    #[serde(default)]
    token_url: String,
    service_account_impersonation_url: Option<String>,
    universe_domain: Option<String>,
    #[serde(default)]
    credential_source: CredentialSource,
}

#[derive(Deserialize)]
struct StsResponse {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImpersonationResponse {
    access_token: String,
    expire_time: Timestamp,
}

/// Fetches an access token for the external account in a file.
pub(super) async fn token(path: &str, http: &Http) -> Result<AccessToken, Failure> {
    let file = configuration(path)?;
    let subject = file.credential_source.token(http).await?;
    let federated = exchange(&file, &subject, http).await?;
    match &file.service_account_impersonation_url {
        Some(url) => impersonate(&file, url, &federated.text, http).await,
        None => Ok(federated),
    }
}

fn configuration(path: &str) -> Result<Configuration, Failure> {
    let step = "gcp: GOOGLE_APPLICATION_CREDENTIALS";
    let text = read_text(step, VARIABLE, path, FILE)?;
    // The parser's message may contain a secret.
    let file: Configuration = serde_json::from_str(&text).map_err(|_| {
        let what = format!("{path} is no configuration of workload identity federation");
        Failure::permanent(step, what, FILE)
    })?;
    if file.r#type == "service_account" {
        let what = format!("{path} is the key of a service account");
        return Err(Failure::permanent(step, what, KEY));
    }
    if file.r#type != "external_account" {
        let what = format!("the type in {path} is not external_account");
        return Err(Failure::permanent(step, what, FILE));
    }
    let universe = file.universe_domain.as_deref().unwrap_or(UNIVERSE);
    let urls = [
        ("token_url", Some(&file.token_url), "sts"),
        (
            "service_account_impersonation_url",
            file.service_account_impersonation_url.as_ref(),
            "iamcredentials",
        ),
    ];
    for (name, url, service) in urls {
        if url.is_some_and(|url| !is_service(url, service, universe)) {
            let what = format!("{name} in {path} is no URL of {service} below {universe}");
            return Err(Failure::permanent(step, what, FILE));
        }
    }
    Ok(file)
}

/// Whether a URL is that of a Google service, by the rules of its client libraries: global, regional or private
/// (<https://cloud.google.com/docs/security/external-account-security>).
fn is_service(url: &str, service: &str, universe: &str) -> bool {
    let Ok(url) = url.parse::<Url>() else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let Some(names) = host
        .strip_suffix(universe)
        .and_then(|names| names.strip_suffix('.'))
    else {
        return false;
    };
    let is_service = |name: &str| {
        name == service
            || name.ends_with(&format!("-{service}"))
            || name.starts_with(&format!("{service}-"))
    };
    let is_plain = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    is_plain && !universe.is_empty() && names.split('.').any(is_service)
}

/// Exchanges the platform's token for a federated one.
async fn exchange(
    file: &Configuration,
    subject: &str,
    http: &Http,
) -> Result<AccessToken, Failure> {
    let step = format!("gcp: token exchange at {}", host_of(&file.token_url));
    let fields = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", &*file.audience),
        ("scope", SCOPE),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", &file.subject_token_type),
        ("subject_token", subject),
    ];
    let request = post_form(&file.token_url, &fields);
    let response = send(&http.endpoints, &step, request).await?;
    if response.status() != 200 {
        let code = error(&response).and_then(|error| code(error.as_str()?));
        return Err(error_response(&step, &response, code, POOL));
    }
    let body: StsResponse = parse(&response).ok_or_else(|| malformed(&step))?;
    Ok(AccessToken {
        text: body.access_token,
        expires_in: at_least_minimum(Duration::from_secs(body.expires_in.unwrap_or(3600))),
        identity: format!("principal of {}", file.audience),
    })
}

/// Exchanges the federated token for one of a service account.
async fn impersonate(
    file: &Configuration,
    url: &str,
    federated: &str,
    http: &Http,
) -> Result<AccessToken, Failure> {
    let account = url
        .rsplit('/')
        .next()
        .and_then(|last| last.split(':').next());
    let account = account.unwrap_or(&file.audience);
    let step = format!("gcp: impersonation of {account} at {}", host_of(url));
    let body = json!({ "scope": [SCOPE] }).to_string();
    let request = ExternalRequest::post(url, body, ENDPOINT_TIMEOUT)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {federated}"));
    let response = send(&http.endpoints, &step, request).await?;
    if response.status() != 200 {
        let code = error(&response).and_then(|error| code(error.get("status")?.as_str()?));
        return Err(error_response(&step, &response, code, IMPERSONATION));
    }
    let body: ImpersonationResponse = parse(&response).ok_or_else(|| malformed(&step))?;
    Ok(AccessToken {
        text: body.access_token,
        expires_in: remaining_until(body.expire_time, &response),
        identity: account.to_owned(),
    })
}

/// The member `error` of a response: an `OAuth2` error code, or an error object of Google's APIs.
fn error(response: &ExternalResponse) -> Option<Value> {
    let mut body: Value = parse(response)?;
    body.get_mut("error").map(Value::take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_traded_at_googles_own_services_only() {
        let cases = [
            ("https://sts.googleapis.com/v1/token", true),
            ("https://sts.us-east1.rep.googleapis.com/v1/token", true),
            ("https://us-east1-sts.googleapis.com/v1/token", true),
            ("https://sts-private.p.googleapis.com/v1/token", true),
            ("http://sts.googleapis.com/v1/token", false),
            ("https://sts.googleapis.com:8443/v1/token", false),
            ("https://user@sts.googleapis.com/v1/token", false),
            ("https://sts.googleapis.com.evil.example/v1/token", false),
            ("https://evil.example/sts.googleapis.com", false),
            ("https://sts.evilgoogleapis.com/v1/token", false),
            ("https://storage.googleapis.com/v1/token", false),
            ("", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_service(url, "sts", UNIVERSE), expected, "{url}");
        }
        assert!(is_service(
            "https://sts.s3nsapis.fr/v1/token",
            "sts",
            "s3nsapis.fr"
        ));
        assert!(!is_service("https://sts.evil.example/v1", "sts", ""));
    }

    #[test]
    fn errors_of_files_name_the_cause_and_no_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.json");
        let cases = [
            (
                "planted",
                "no configuration of workload identity federation",
            ),
            (
                r#"{"type": "service_account", "private_key": "planted"}"#,
                "the key of a service account",
            ),
            (
                r#"{"type": "authorized_user", "refresh_token": "planted"}"#,
                "not external_account",
            ),
            (
                r#"{"type": "external_account", "token_url": "https://evil.example"}"#,
                "token_url",
            ),
            (
                r#"{"type": "external_account", "token_url": "https://sts.googleapis.com/v1/token",
                    "service_account_impersonation_url": "https://iamcredentials.evil.example/x"}"#,
                "service_account_impersonation_url",
            ),
        ];
        for (text, said) in cases {
            std::fs::write(&path, text).expect("a file");
            let failure = configuration(&path.display().to_string());
            let text = format!("{:?}", failure.err().expect("it cannot be used"));
            assert!(text.contains(said) && !text.contains("planted"), "{text}");
        }
    }
}
