//! The actions of STS that are needed: <https://docs.aws.amazon.com/STS/latest/APIReference/>.

use std::time::Duration;

use kube_autorollout_registry::{ExternalRequest, ExternalResponse};

use super::{
    sigv4::{Keys, Scope, Unsigned, sign},
    xml,
};
use crate::{
    failure::{Failure, code},
    grant::now,
    http::{
        ENDPOINT_TIMEOUT, FORM, Http, error_response, form, host_of, malformed, post_form, send,
    },
};

const VERSION: (&str, &str) = ("Version", "2011-06-15");

/// The session name of assumed roles.
const SESSION: &str = "kube-autorollout";

/// For the identity of the caller, which is optional.
const CALLER_TIMEOUT: Duration = Duration::from_secs(2);

/// STS in one region.
pub(super) struct Sts<'a> {
    pub(super) http: &'a Http,
    pub(super) url: String,
    pub(super) region: String,
}

impl Sts<'_> {
    /// Exchanges the ServiceAccount's token for keys of a role.
    pub(super) async fn assume_role_with_web_identity(
        &self,
        role: &str,
        token: &str,
    ) -> Result<Keys, Failure> {
        let step = self.step("AssumeRoleWithWebIdentity", role);
        let fields = [
            VERSION,
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role),
            ("RoleSessionName", SESSION),
            ("DurationSeconds", "3600"),
            ("WebIdentityToken", token),
        ];
        let request = post_form(&self.url, &fields);
        let response = send(&self.http.aws, &step, request).await?;
        keys(&step, &response, |code| match code {
            "AccessDenied" => {
                "let the trust policy of the role accept the controller's ServiceAccount: the OIDC provider of this cluster, and system:serviceaccount:<namespace>:<name> as its sub"
            }
            "InvalidIdentityToken" | "InvalidIdentityTokenException" => {
                "create the IAM OIDC identity provider of this cluster, with the audience sts.amazonaws.com"
            }
            "ExpiredToken" | "ExpiredTokenException" => {
                "restart the controller's pod: the token that it mounts is not renewed"
            }
            "ValidationError" => {
                "correct the role's ARN in the annotation eks.amazonaws.com/role-arn of the controller's ServiceAccount"
            }
            "RegionDisabledException" => {
                "activate STS in this region, or set AWS_REGION to another one"
            }
            _ => "check the role of the annotation eks.amazonaws.com/role-arn and its trust policy",
        })
    }

    /// Exchanges the pod's keys for those of another role.
    pub(super) async fn assume_role(
        &self,
        keys_of_pod: &Keys,
        role: &str,
    ) -> Result<Keys, Failure> {
        let step = self.step("AssumeRole", role);
        let form = form(&[
            VERSION,
            ("Action", "AssumeRole"),
            ("RoleArn", role),
            ("RoleSessionName", SESSION),
            ("DurationSeconds", "3600"),
        ]);
        let response = self
            .signed(keys_of_pod, &step, form, ENDPOINT_TIMEOUT)
            .await?;
        keys(&step, &response, |code| match code {
            "AccessDenied" => {
                "let the pod's role assume this one: sts:AssumeRole in its own policy, and the pod's role in the trust policy of the one that roleArn names"
            }
            "ValidationError" => "correct roleArn: it is not the ARN of a role",
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch" => {
                "renew the credentials of the pod, and check the clock of its node"
            }
            _ => "check the role that roleArn names and its trust policy",
        })
    }

    async fn signed(
        &self,
        keys: &Keys,
        step: &str,
        form: String,
        timeout: Duration,
    ) -> Result<ExternalResponse, Failure> {
        let scope = Scope {
            region: &self.region,
            service: "sts",
            now: now(),
        };
        let request = signed_post(
            keys,
            &scope,
            &self.url,
            &[("content-type", FORM)],
            form,
            timeout,
        );
        send(&self.http.aws, step, request).await
    }

    /// The ARN of the keys' identity, if STS responds in time.
    pub(super) async fn caller_arn(&self, keys: &Keys) -> Option<String> {
        let form = form(&[VERSION, ("Action", "GetCallerIdentity")]);
        let response = self.signed(keys, "aws: GetCallerIdentity", form, CALLER_TIMEOUT);
        let response = response.await.ok()?;
        let arn = xml::element(std::str::from_utf8(response.body()).ok()?, "Arn")?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":/+=,.@_-".contains(&byte);
        let is_arn = arn.len() <= 512 && arn.starts_with("arn:") && arn.bytes().all(is_allowed);
        is_arn.then_some(arn)
    }

    fn step(&self, action: &str, role: &str) -> String {
        format!("aws: {action} of {role} at {}", host_of(&self.url))
    }
}

/// A signed POST.
pub(super) fn signed_post(
    keys: &Keys,
    scope: &Scope<'_>,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
    timeout: Duration,
) -> ExternalRequest {
    let path = url::Url::parse(url).map_or_else(|_| "/".to_owned(), |url| url.path().to_owned());
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let headers: Vec<_> = headers.iter().map(owned).collect();
    let mut signed = headers.clone();
    signed.push(("host".to_owned(), host_of(url)));
    let unsigned = Unsigned {
        method: "POST",
        path: &path,
        headers: signed,
        body: body.as_bytes(),
    };
    let added = sign(keys, scope, unsigned);
    let request = ExternalRequest::post(url, body, timeout);
    let headers = headers.into_iter().chain(added);
    headers.fold(request, |request, (name, value)| {
        request.header(name, value)
    })
}

/// Parses the keys in a response, or its error code.
fn keys(
    step: &str,
    response: &ExternalResponse,
    advice: impl Fn(&str) -> &'static str,
) -> Result<Keys, Failure> {
    let document = std::str::from_utf8(response.body()).unwrap_or_default();
    let element = |name| xml::element(document, name);
    if response.status() != 200 {
        let code = element("Code").and_then(|text| code(&text));
        let advice = advice(code.as_deref().unwrap_or_default());
        // AWS also throttles with status 400.
        let is_busy = code.as_deref().is_some_and(|code| {
            code.starts_with("Throttling")
                || matches!(code, "IDPCommunicationError" | "RequestLimitExceeded")
        });
        let failure = error_response(step, response, code, advice);
        return Err(failure.transient_if(is_busy));
    }
    let all = || {
        Some(Keys {
            access_key_id: element("AccessKeyId")?,
            secret_access_key: element("SecretAccessKey")?,
            session_token: Some(element("SessionToken")?),
        })
    };
    all().ok_or_else(|| malformed(step))
}
