//! The passwords of ECR:
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kube_autorollout_registry::{Credential, TokenResponse};
use serde::Deserialize;

use super::{
    credentials::{self, Session},
    endpoints::{self, PUBLIC_REGION, Variant},
    host::EcrHost,
    sigv4::Scope,
    sts::{Sts, signed_post},
};
use crate::{
    environment::Environment,
    failure::{Failure, code},
    grant::{Grant, left_until, now},
    http::{ENDPOINT_TIMEOUT, Http, ask, failed, host_of, malformed},
};

const JSON: &str = "application/x-amz-json-1.1";

/// The registries that one password is for: all that a role may read in a region. The account does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ecr {
    pub(crate) host: EcrHost,
    /// Assumed with the pod's own role.
    pub(crate) role: Option<String>,
}

/// The answer of either service; the private one has a list of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
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

/// What the service answers when it gives nothing.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// One of the two services.
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

/// A password, for the pod's role or the one that is assumed.
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
        session = Session {
            keys: sts.assume_role(&session.keys, role).await?,
            arn: Some(role.clone()),
            source: session.source,
        };
    }
    let step = format!("aws: GetAuthorizationToken at {}", host_of(&service.url));
    let headers = [("content-type", JSON), ("x-amz-target", service.target)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let scope = Scope {
        region: &service.region,
        service: service.name,
        now: now(),
    };
    let request = signed_post(
        &session.keys,
        &scope,
        &service.url,
        headers.to_vec(),
        "{}".to_owned(),
        ENDPOINT_TIMEOUT,
    );
    let response = ask(&http.aws, &step, request).await?;
    if response.status() != 200 {
        let code = error_code(&response);
        let advice = service.advice(code.as_deref().unwrap_or_default());
        let is_busy = code
            .as_deref()
            .is_some_and(|code| code.starts_with("Throttling") || code == "ServerException");
        let failure = failed(&step, &response, code, advice);
        return Err(failure.passing_if(is_busy));
    }
    let (credential, expires) = password(&response).ok_or_else(|| malformed(&step))?;
    let arn = credentials::arn(&sts, &session).await;
    Ok(Grant {
        credential,
        expires_in: left_until(expires, &response),
        identity: format!("aws: {}", arn.unwrap_or(session.source)),
    })
}

/// The code in an answer, without the namespace before it.
fn error_code(response: &TokenResponse) -> Option<String> {
    let refusal: Option<Refusal> = serde_json::from_slice(response.body()).ok();
    let kind = refusal.and_then(|refusal| refusal.kind);
    let kind = kind.or_else(|| {
        let header = response.header("x-amzn-errortype")?;
        header.split(':').next().map(str::to_owned)
    })?;
    code(kind.rsplit('#').next()?)
}

fn password(response: &TokenResponse) -> Option<(Credential, Timestamp)> {
    let answer: Answer = serde_json::from_slice(response.body()).ok()?;
    let data = match answer.authorization_data {
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
