//! Credentials of the pod, in the order of the SDKs:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use kube_autorollout_registry::ExternalRequest;
use serde::Deserialize;
use url::{Host, Url};

use super::{is_region, sigv4::Keys, sts::Sts};
use crate::{
    environment::{Environment, read_line},
    failure::{Failure, code},
    http::{
        ENDPOINT_TIMEOUT, Http, METADATA_TIMEOUT, error_response, host_of, malformed, parse, send,
    },
};

const NO_IDENTITY: &str = "annotate the controller's ServiceAccount with eks.amazonaws.com/role-arn (IRSA), or create an EKS Pod Identity association for it, and restart the controller's pod";

const REGION: &str = "set the variable to a region such as eu-central-1";

const TOKEN_FILE: &str = "let the pod mount its ServiceAccount's token where the variable says; EKS does so for annotated ServiceAccounts when the pod is created: restart it";

const POD_IDENTITY: &str = "create the EKS Pod Identity association of the controller's ServiceAccount, and let the trust policy of its role allow sts:AssumeRole and sts:TagSession to pods.eks.amazonaws.com";

const AGENT_ADDRESS: &str = "correct AWS_CONTAINER_CREDENTIALS_FULL_URI: over http only the Pod Identity agent (169.254.170.23, fd00:ec2::23), 169.254.170.2 and loopback are asked";

/// Keys and their identity, as far as it is known.
pub(super) struct Session {
    pub(super) keys: Keys,
    /// The ARN of a role.
    pub(super) arn: Option<String>,
    /// Shown if there is no ARN.
    pub(super) source: String,
}

/// A response of the EKS Pod Identity agent:
/// <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentResponse {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    account_id: Option<String>,
}

/// An error response of the agent.
#[derive(Deserialize)]
struct AgentError {
    code: Option<String>,
}

/// The region of STS: the pod's, else the registry's.
pub(super) fn region(environment: &Environment, of_registry: &str) -> Result<String, Failure> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = environment.get(name) {
            if is_region(region) {
                return Ok(region.to_owned());
            }
            let what = format!("{name} is no region");
            return Err(Failure::permanent("aws: region", what, REGION));
        }
    }
    Ok(of_registry.to_owned())
}

/// The credentials of the pod.
pub(super) async fn of_the_pod(
    environment: &Environment,
    http: &Http,
    sts: &Sts<'_>,
) -> Result<Session, Failure> {
    if let Some(id) = environment.get("AWS_ACCESS_KEY_ID") {
        return of_variables(environment, id);
    }
    let role = environment.get("AWS_ROLE_ARN");
    let file = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE");
    if let (Some(role), Some(file)) = (role, file) {
        let variable = "AWS_WEB_IDENTITY_TOKEN_FILE";
        let token = read_line("aws: IRSA", variable, file, TOKEN_FILE)?;
        let keys = sts.assume_role_with_web_identity(role, &token).await?;
        return Ok(Session {
            keys,
            arn: Some(role.to_owned()),
            source: "IRSA".to_owned(),
        });
    }
    if let Some(uri) = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        return of_the_agent(environment, http, uri).await;
    }
    let what = match (role, file) {
        (Some(_), None) => "AWS_ROLE_ARN is set, and AWS_WEB_IDENTITY_TOKEN_FILE is not",
        (None, Some(_)) => "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not",
        _ => {
            "none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_CREDENTIALS_FULL_URI is set"
        }
    };
    Err(Failure::permanent(
        "aws: the pod has no identity",
        what,
        NO_IDENTITY,
    ))
}

fn of_variables(environment: &Environment, id: &str) -> Result<Session, Failure> {
    let Some(secret) = environment.get("AWS_SECRET_ACCESS_KEY") else {
        let what = "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not";
        let advice = "set both, or neither to use IRSA or EKS Pod Identity";
        return Err(Failure::permanent("aws: static credentials", what, advice));
    };
    Ok(Session {
        keys: Keys {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: environment.get("AWS_SESSION_TOKEN").map(str::to_owned),
        },
        arn: None,
        source: "AWS_ACCESS_KEY_ID".to_owned(),
    })
}

async fn of_the_agent(
    environment: &Environment,
    http: &Http,
    uri: &str,
) -> Result<Session, Failure> {
    let step = format!("aws: EKS Pod Identity at {}", host_of(uri));
    let url = uri.parse::<Url>().ok().filter(is_agent);
    let Some(url) = url else {
        let what = "the address is not one of an agent";
        return Err(Failure::permanent(step, what, AGENT_ADDRESS));
    };
    let name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    let token = match environment.get(name) {
        Some(file) => Some(read_line(&step, name, file, TOKEN_FILE)?),
        None => environment
            .get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
            .map(str::to_owned),
    };
    let request = |timeout| {
        let request = ExternalRequest::get(url.as_str(), timeout);
        match &token {
            Some(token) => request.header("authorization", token),
            None => request,
        }
    };
    let response = if url.scheme() == "https" {
        send(&http.aws, &step, request(ENDPOINT_TIMEOUT)).await?
    } else {
        http.send_to_metadata_server(&step, || request(METADATA_TIMEOUT))
            .await?
    };
    if response.status() != 200 {
        let error: Option<AgentError> = parse(&response);
        let code = error.and_then(|error| code(&error.code?));
        return Err(error_response(&step, &response, code, POD_IDENTITY));
    }
    let body: AgentResponse = parse(&response).ok_or_else(|| malformed(&step))?;
    let account = body.account_id.as_deref().and_then(code);
    Ok(Session {
        keys: Keys {
            access_key_id: body.access_key_id,
            secret_access_key: body.secret_access_key,
            session_token: Some(body.token),
        },
        arn: None,
        source: account.map_or_else(
            || "EKS Pod Identity".to_owned(),
            |account| format!("EKS Pod Identity of account {account}"),
        ),
    })
}

/// Whether credentials may be requested from a URL: those of the agents, loopback addresses, and any with TLS
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
fn is_agent(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => {
            address.is_loopback() || matches!(address.octets(), [169, 254, 170, 2 | 23])
        }
        ("http", Some(Host::Ipv6(address))) => {
            address.is_loopback()
                || matches!(address.segments(), [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23])
        }
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_used_without_tls_at_their_own_addresses_only() {
        let cases = [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.170.2/x", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]:8080/x", true),
            ("http://localhost/x", true),
            ("https://agent.example/x", true),
            ("http://169.254.169.254/latest/meta-data", false),
            ("http://169.254.170.23.evil.example/x", false),
            ("http://agent.example/x", false),
            ("ftp://127.0.0.1/x", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_agent(&url.parse().expect(url)), expected, "{url}");
        }
    }
}
