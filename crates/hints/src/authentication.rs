//! Authentication of requests, over the raw bytes and in constant time.

mod secret;
mod signature;

use http::{HeaderName, header};

pub use secret::{InvalidSecret, Secret, Secrets};
use signature::Signature;

use crate::{request::Request, sender::Sender};

/// Our own header, for `generic`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature-256");
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const HUB_SIGNATURE_SHA1: HeaderName = HeaderName::from_static("x-hub-signature");
const GITEA_SIGNATURE: HeaderName = HeaderName::from_static("x-gitea-signature");
const JFROG_AUTH: HeaderName = HeaderName::from_static("x-jfrog-event-auth");

/// The content of Artifactory's header `X-JFrog-Event-Auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArtifactoryAuthentication {
    /// The secret itself.
    #[default]
    Secret,
    /// A signature: *Use secret for payload signing* is on.
    Hmac,
}

/// Why authentication failed. The message repeats nothing of the request; the response is 401 without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// The header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The header is empty: the sender has no secret.
    #[error("the header {0} is empty: the sender has no secret")]
    Empty(&'static str),
    /// The header is repeated, so it is ambiguous.
    #[error("the header {0} is there more than once")]
    Repeated(&'static str),
    /// The header does not have the sender's format.
    #[error("the header {0} is not of the expected form")]
    Form(&'static str),
    /// The only signature uses SHA-1, which is too weak.
    #[error("the request is only signed with SHA-1; X-Hub-Signature-256 is missing")]
    Sha1,
    /// The path has no secret.
    #[error("the path has no secret: /hooks/<receiver>/<secret>")]
    NotInPath,
    /// The secret or the signature is wrong.
    #[error("the secret of the sender is another one")]
    Wrong,
    /// The receiver has no secret, which this kind of authentication requires.
    #[error("the receiver has no secret for this kind of authentication")]
    NoSecret,
}

/// The result of an authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticated<'a> {
    /// The request has the secret, or a signature made with it.
    Secret,
    /// The request has the token of a CI job, which [`oidc::Verifier`](crate::oidc::Verifier) must still accept.
    Token(&'a str),
}

/// Authenticates a request of this sender.
pub(crate) fn authenticate<'a>(
    sender: Sender,
    artifactory: ArtifactoryAuthentication,
    takes_tokens: bool,
    secrets: Option<&Secrets>,
    request: &Request<'a>,
) -> Result<Authenticated<'a>, Unauthenticated> {
    if sender == Sender::Generic {
        return generic(takes_tokens, secrets, request);
    }
    let secrets = secrets.ok_or(Unauthenticated::NoSecret)?;
    let body = request.body;
    let is_valid = match sender {
        Sender::Github => {
            let is_weak = !request.headers.contains_key(HUB_SIGNATURE)
                && request.headers.contains_key(HUB_SIGNATURE_SHA1);
            if is_weak {
                return Err(Unauthenticated::Sha1);
            }
            let text = single(request, &HUB_SIGNATURE, "X-Hub-Signature-256")?;
            secrets.verify(body, &Signature::prefixed(text, "X-Hub-Signature-256")?)
        }
        Sender::Gitea if request.headers.contains_key(GITEA_SIGNATURE) => {
            let text = single(request, &GITEA_SIGNATURE, "X-Gitea-Signature")?;
            secrets.verify(body, &Signature::plain(text, "X-Gitea-Signature")?)
        }
        Sender::Gitea => {
            let text = single(request, &HUB_SIGNATURE, "X-Hub-Signature-256")?;
            secrets.verify(body, &Signature::prefixed(text, "X-Hub-Signature-256")?)
        }
        Sender::Artifactory => {
            let text = single(request, &JFROG_AUTH, "X-JFrog-Event-Auth")?;
            match artifactory {
                ArtifactoryAuthentication::Secret => secrets.contains(text),
                ArtifactoryAuthentication::Hmac => {
                    secrets.verify(body, &Signature::plain(text, "X-JFrog-Event-Auth")?)
                }
            }
        }
        Sender::Dockerhub | Sender::Quay => {
            let secret = request.path_secret.filter(|secret| !secret.is_empty());
            secrets.contains(secret.ok_or(Unauthenticated::NotInPath)?.as_bytes())
        }
        Sender::Generic
        | Sender::Distribution
        | Sender::Harbor
        | Sender::Acr
        | Sender::Cloudevents => {
            let value = single(request, &header::AUTHORIZATION, "Authorization")?;
            secrets.authorize(value)
        }
    };
    accepted(is_valid)
}

fn generic<'a>(
    takes_tokens: bool,
    secrets: Option<&Secrets>,
    request: &Request<'a>,
) -> Result<Authenticated<'a>, Unauthenticated> {
    if request.headers.contains_key(SIGNATURE) {
        let text = single(request, &SIGNATURE, "X-Signature-256")?;
        let signature = Signature::prefixed(text, "X-Signature-256")?;
        let secrets = secrets.ok_or(Unauthenticated::NoSecret)?;
        return accepted(secrets.verify(request.body, &signature));
    }
    let value = single(request, &header::AUTHORIZATION, "Authorization")?;
    let text = str::from_utf8(value).ok();
    let bearer = text.and_then(|text| secret::after_scheme(text, "bearer"));
    let bearer = bearer.ok_or(Unauthenticated::Form("Authorization"))?;
    if secrets.is_some_and(|secrets| secrets.contains(bearer.as_bytes())) {
        return Ok(Authenticated::Secret);
    }
    // A JWT has a header, claims and a signature
    if takes_tokens && bearer.bytes().filter(|byte| *byte == b'.').count() == 2 {
        return Ok(Authenticated::Token(bearer));
    }
    Err(Unauthenticated::Wrong)
}

fn accepted(is_valid: bool) -> Result<Authenticated<'static>, Unauthenticated> {
    is_valid
        .then_some(Authenticated::Secret)
        .ok_or(Unauthenticated::Wrong)
}

/// The only value of a header.
fn single<'a>(
    request: &Request<'a>,
    name: &HeaderName,
    shown: &'static str,
) -> Result<&'a [u8], Unauthenticated> {
    let mut values = request.headers.get_all(name).into_iter();
    let value = values.next().ok_or(Unauthenticated::Missing(shown))?;
    if values.next().is_some() {
        return Err(Unauthenticated::Repeated(shown));
    }
    if value.is_empty() {
        return Err(Unauthenticated::Empty(shown));
    }
    Ok(value.as_bytes())
}
