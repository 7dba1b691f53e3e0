//! The passwords of ECR:
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kube_autorollout_registry::{Credential, ExternalResponse};
use serde::Deserialize;

use super::{
    credentials,
    endpoints::{self, PUBLIC_REGION, Variant},
    host::EcrHost,
    sigv4::Scope,
    sts::{Sts, signed_post},
};
use crate::{
    environment::Environment,
    failure::{Failure, code},
    grant::{Grant, now, remaining_until},
    http::{ENDPOINT_TIMEOUT, Http, error_response, host_of, malformed, parse, send},
};

const JSON: &str = "application/x-amz-json-1.1";

/// The scope of a password: all registries in a region that a role may read, whatever their account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ecr {
    pub(crate) host: EcrHost,
    /// A role to assume with the pod's own one.
    pub(crate) role: Option<String>,
}

/// The response of either service; that of private registries is a list of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationResponse {
    authorization_data: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<AuthorizationData>),
    One(AuthorizationData),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationData {
    authorization_token: String,
    /// Seconds, with a fraction.
    expires_at: f64,
}

/// An error response.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// The API of private registries, or that of the public gallery.
struct Service {
    name: &'static str,
    target: &'static str,
    url: String,
    region: String,
}

impl Service {
    fn of(environment: &Environment, host: &EcrHost) -> Self {
        match host {
            EcrHost::Private {
                region,
                fips,
                dual_stack,
            } => {
                let variant = Variant::of(environment).or(*fips, *dual_stack);
                Self {
                    name: "ecr",
                    target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
                    url: endpoints::ecr(environment, region, variant),
                    region: region.clone(),
                }
            }
            EcrHost::Public => Self {
                name: "ecr-public",
                target: "SpencerFrontendService.GetAuthorizationToken",
                url: endpoints::ecr_public(environment),
                region: PUBLIC_REGION.to_owned(),
            },
        }
    }

    fn advice(&self, code: &str) -> &'static str {
        match code {
            "AccessDeniedException" if self.name == "ecr-public" => {
                "allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on * in the policy of the role"
            }
            "AccessDeniedException" => {
                "allow ecr:GetAuthorizationToken on * in the policy of the role, and ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on its repositories"
            }
            "InvalidSignatureException" | "RequestExpired" | "SignatureDoesNotMatch" => {
                "check the clock of the node, and AWS_SECRET_ACCESS_KEY where it is set"
            }
            "UnrecognizedClientException" | "ExpiredTokenException" | "InvalidClientTokenId" => {
                "renew the credentials of the pod: they are of another partition, have expired or were revoked"
            }
            _ => "check the policy of the role: it needs ecr:GetAuthorizationToken on *",
        }
    }
}

/// Fetches a password for the pod's role, or the one to assume.
pub(crate) async fn fetch(
    ecr: &Ecr,
    environment: &Environment,
    http: &Http,
) -> Result<Grant, Failure> {
    let service = Service::of(environment, &ecr.host);
    let region = credentials::region(environment, &service.region)?;
    let sts = Sts {
        http,
        url: endpoints::sts(environment, &region),
        region,
    };
    let mut session = credentials::of_the_pod(environment, http, &sts).await?;
    if let Some(role) = &ecr.role {
        session.keys = sts.assume_role(&session.keys, role).await?;
        session.arn = Some(role.clone());
    }
    let step = format!("aws: GetAuthorizationToken at {}", host_of(&service.url));
    let scope = Scope {
        region: &service.region,
        service: service.name,
        now: now(),
    };
    let request = signed_post(
        &session.keys,
        &scope,
        &service.url,
        &[("content-type", JSON), ("x-amz-target", service.target)],
        "{}".to_owned(),
        ENDPOINT_TIMEOUT,
    );
    let response = send(&http.aws, &step, request).await?;
    if response.status() != 200 {
        let code = error_code(&response);
        let advice = service.advice(code.as_deref().unwrap_or_default());
        let is_busy = code
            .as_deref()
            .is_some_and(|code| code.starts_with("Throttling") || code == "ServerException");
        let failure = error_response(&step, &response, code, advice);
        return Err(failure.transient_if(is_busy));
    }
    let (credential, expires) = password(&response).ok_or_else(|| malformed(&step))?;
    let arn = match session.arn {
        Some(arn) => Some(arn),
        None => sts.caller_arn(&session.keys).await,
    };
    Ok(Grant {
        credential,
        expires_in: remaining_until(expires, &response),
        identity: format!("aws: {}", arn.unwrap_or(session.source)),
    })
}

/// The error code of a response, without its namespace.
fn error_code(response: &ExternalResponse) -> Option<String> {
    let error: Option<ErrorBody> = parse(response);
    let kind = error.and_then(|error| error.kind);
    let kind = kind.or_else(|| {
        let header = response.header("x-amzn-errortype")?;
        header.split(':').next().map(str::to_owned)
    })?;
    code(kind.rsplit('#').next()?)
}

fn password(response: &ExternalResponse) -> Option<(Credential, Timestamp)> {
    let body: AuthorizationResponse = parse(response)?;
    let data = match body.authorization_data {
        OneOrMany::Many(list) => list.into_iter().next()?,
        OneOrMany::One(data) => data,
    };
    let login = BASE64_STANDARD.decode(data.authorization_token).ok()?;
    let login = String::from_utf8(login).ok()?;
    let (username, password) = login.split_once(':')?;
    let expires = jiff::SignedDuration::try_from_secs_f64(data.expires_at).ok()?;
    let expires = Timestamp::UNIX_EPOCH.checked_add(expires).ok()?;
    Some((Credential::password(username, password), expires))
}
