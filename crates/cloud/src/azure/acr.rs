//! Exchanges the ServiceAccount's token for the refresh token of a registry:
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation> and
//! <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use kube_autorollout_registry::Credential;
use serde::Deserialize;
use url::Url;

use crate::{
    environment::{Environment, read_line},
    failure::{Failure, code},
    grant::{Grant, remaining_until},
    http::{Http, error_response, host_of, is_local, malformed, parse, post_form, send},
};

/// The authority of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";

/// The user name of refresh tokens.
const USER: &str = "00000000-0000-0000-0000-000000000000";

/// The lifetime of a token whose expiry cannot be parsed, well below the usual three hours.
const FALLBACK_LIFETIME: Duration = Duration::from_secs(60 * 60);

const NO_IDENTITY: &str = "label the controller's pods azure.workload.identity/use: \"true\" and annotate its ServiceAccount with azure.workload.identity/client-id, so that the workload identity webhook sets the variables and the token, and restart the pods";

const NO_ROLE: &str = "assign AcrPull (or Container Registry Repository Reader, on registries with ABAC) on this registry to the client of the annotation azure.workload.identity/client-id";

/// A registry of ACR.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Acr {
    /// Its endpoint: scheme, host and port.
    pub(crate) url: String,
    /// Its host name at ACR.
    pub(crate) service: String,
}

/// The variables that the webhook sets.
struct Identity<'e> {
    client: &'e str,
    tenant: &'e str,
    file: &'e str,
    authority: String,
}

#[derive(Deserialize)]
struct EntraResponse {
    access_token: String,
}

#[derive(Deserialize, Default)]
struct EntraError {
    error: Option<String>,
    error_codes: Option<Vec<u64>>,
}

#[derive(Deserialize)]
struct ExchangeResponse {
    refresh_token: String,
}

#[derive(Deserialize)]
struct ExchangeError {
    errors: Option<Vec<ErrorCode>>,
}

#[derive(Deserialize)]
struct ErrorCode {
    code: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

impl<'e> Identity<'e> {
    fn of(environment: &'e Environment) -> Result<Self, Failure> {
        let step = "azure: the pod has no identity";
        let get = |name: &str| {
            let missing = || Failure::permanent(step, format!("{name} is not set"), NO_IDENTITY);
            environment.get(name).ok_or_else(missing)
        };
        let authority = environment.get("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY);
        let url = authority.parse::<Url>().ok();
        // The assertion is sent there. Test servers on this machine may be without TLS.
        let is_allowed =
            |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && is_local(url));
        if !url.is_some_and(|url| is_allowed(&url)) {
            let what = "AZURE_AUTHORITY_HOST is no https URL";
            let advice =
                "set it to the URL of the cloud, such as https://login.microsoftonline.com/";
            return Err(Failure::permanent("azure: Entra ID", what, advice));
        }
        Ok(Self {
            client: get("AZURE_CLIENT_ID")?,
            tenant: get("AZURE_TENANT_ID")?,
            file: get("AZURE_FEDERATED_TOKEN_FILE")?,
            authority: format!("{}/", authority.trim_end_matches('/')),
        })
    }
}

/// Fetches a refresh token of the registry for the pod's identity.
pub(crate) async fn fetch(
    acr: &Acr,
    environment: &Environment,
    http: &Http,
) -> Result<Grant, Failure> {
    let identity = Identity::of(environment)?;
    let access_token = access_token(acr, &identity, http).await?;
    let step = format!("azure: token exchange at {}", host_of(&acr.url));
    let fields = [
        ("grant_type", "access_token"),
        ("service", &acr.service),
        ("tenant", identity.tenant),
        ("access_token", &access_token),
    ];
    let request = post_form(&format!("{}/oauth2/exchange", acr.url), &fields);
    let response = send(&http.endpoints, &step, request).await?;
    if response.status() != 200 {
        let error: Option<ExchangeError> = parse(&response);
        let first = error.and_then(|error| error.errors?.into_iter().next());
        let code = first.and_then(|error| code(&error.code?));
        return Err(error_response(&step, &response, code, NO_ROLE));
    }
    let body: ExchangeResponse = parse(&response).ok_or_else(|| malformed(&step))?;
    let expires = expiry(&body.refresh_token);
    let expires_in = expires.map_or(FALLBACK_LIFETIME, |expires| {
        remaining_until(expires, &response)
    });
    Ok(Grant {
        credential: Credential::identity(USER, body.refresh_token),
        expires_in,
        identity: format!("azure: client {}", identity.client),
    })
}

/// Fetches Entra ID's token for the registries of the cloud.
async fn access_token(acr: &Acr, identity: &Identity<'_>, http: &Http) -> Result<String, Failure> {
    let url = format!(
        "{}{}/oauth2/v2.0/token",
        identity.authority, identity.tenant
    );
    let step = format!(
        "azure: Entra ID at {} for client {}",
        host_of(&url),
        identity.client
    );
    let variable = "AZURE_FEDERATED_TOKEN_FILE";
    let assertion = read_line(&step, variable, identity.file, NO_IDENTITY)?;
    let scope = format!("{}/.default", resource(acr, &identity.authority));
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", identity.client),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &assertion),
        ("scope", &scope),
    ];
    let response = send(&http.endpoints, &step, post_form(&url, &fields)).await?;
    if response.status() == 200 {
        let body: EntraResponse = parse(&response).ok_or_else(|| malformed(&step))?;
        return Ok(body.access_token);
    }
    let error: EntraError = parse(&response).unwrap_or_default();
    let number = error.error_codes.and_then(|codes| codes.first().copied());
    let advice = advice(number.unwrap_or_default());
    let code = match number {
        Some(number) => Some(format!("AADSTS{number}")),
        None => error.error.and_then(|error| code(&error)),
    };
    Err(error_response(&step, &response, code, advice))
}

/// Advice by error code: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
fn advice(number: u64) -> &'static str {
    match number {
        70_021 | 700_211 | 700_212 | 700_213 | 700_214 => {
            "create the federated identity credential of this client: issuer of this cluster, subject system:serviceaccount:<namespace>:<name> of the controller, audience api://AzureADTokenExchange"
        }
        700_016 => {
            "correct azure.workload.identity/client-id on the controller's ServiceAccount: the tenant has no such client"
        }
        90_002 | 900_023 => {
            "correct azure.workload.identity/tenant-id on the controller's ServiceAccount: there is no such tenant"
        }
        700_024 => {
            "restart the controller's pod, and check the clock of its node: the token that it mounts has expired"
        }
        500_011 => {
            "set AZURE_AUTHORITY_HOST to the cloud of the registry: the tenant does not know its registries"
        }
        _ => {
            "check the client of the annotation azure.workload.identity/client-id and its federated identity credential"
        }
    }
}

/// The resource of the registry's cloud or, for a custom domain, of the authority's.
fn resource(acr: &Acr, authority: &str) -> &'static str {
    super::resource(&acr.service).unwrap_or_else(|| {
        let host = host_of(authority);
        let of = |end: &str| host.ends_with(end);
        if of(".us") {
            "https://containerregistry.azure.us"
        } else if of(".cn") {
            "https://containerregistry.azure.cn"
        } else {
            "https://containerregistry.azure.net"
        }
    })
}

/// The expiry of a JWT. Its signature is not verified: the registry does that.
fn expiry(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_refresh_token_is_in_it() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp": 1767268800, "aud": "x"}"#);
        let expiry_of = |token: &str| expiry(token).map(Timestamp::as_second);
        assert_eq!(
            expiry_of(&format!("e30.{payload}.sig")),
            Some(1_767_268_800)
        );
        for none in ["", "a.b.c", "a", "e30.e30.e30"] {
            assert_eq!(expiry_of(none), None, "{none}");
        }
    }

    #[test]
    fn a_sovereign_clouds_registry_has_a_resource_of_its_own() {
        let acr = |service: &str| Acr {
            url: String::new(),
            service: service.to_owned(),
        };
        let cases = [
            (
                "a.azurecr.io",
                AUTHORITY,
                "https://containerregistry.azure.net",
            ),
            (
                "a.azurecr.us",
                AUTHORITY,
                "https://containerregistry.azure.us",
            ),
            (
                "a.azurecr.cn",
                AUTHORITY,
                "https://containerregistry.azure.cn",
            ),
            (
                "mirror.example.org",
                AUTHORITY,
                "https://containerregistry.azure.net",
            ),
            (
                "mirror.example.org",
                "https://login.microsoftonline.us/",
                "https://containerregistry.azure.us",
            ),
            (
                "mirror.example.org",
                "https://login.partner.microsoftonline.cn/",
                "https://containerregistry.azure.cn",
            ),
        ];
        for (service, authority, expected) in cases {
            assert_eq!(resource(&acr(service), authority), expected, "{service}");
        }
    }
}
