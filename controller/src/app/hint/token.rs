//! The token of a hint: a secret, or the token of the CI job.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use kube_autorollout_hints::oidc::DEFAULT_AUDIENCE;
use kube_autorollout_registry::{ExternalClient, ExternalRequest};
use serde::Deserialize;

/// The token or secret, as GitLab passes the token of a job.
pub(super) const TOKEN: &str = "KUBE_AUTOROLLOUT_TOKEN";

/// The URL at which GitHub Actions issues the token of a job, and the token for that request
/// (<https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token>).
const ACTIONS_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const ACTIONS_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The time limit of the request to GitHub Actions.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token from {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The token is empty.
    #[error("the token in {0} is empty")]
    Empty(String),
    /// GitHub Actions does not issue a token.
    #[error(
        "GitHub Actions issues no token: {0}; give the job `permissions: {{ id-token: write }}`"
    )]
    Actions(String),
    /// No source has a token.
    #[error(
        "no token: pass --token-file or set {TOKEN}; GitHub Actions needs `permissions: {{ id-token: write }}`, GitLab \
         `id_tokens: {{ {TOKEN}: {{ aud: {DEFAULT_AUDIENCE} }} }}`"
    )]
    None,
}

#[derive(Deserialize)]
struct Issued {
    value: String,
}

/// Finds the token: in the file, in the environment, or at GitHub Actions.
///
/// # Errors
///
/// [`TokenError`] if there is none.
pub(super) async fn find(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    client: &ExternalClient,
) -> Result<String, TokenError> {
    if let Some(file) = file {
        let token = fs::read_to_string(file);
        let token = token.map_err(|error| TokenError::Read(file.to_owned(), error))?;
        return non_empty(token.trim(), &file.display().to_string());
    }
    if let Some(token) = environment.get(TOKEN) {
        return non_empty(token.trim(), TOKEN);
    }
    match (environment.get(ACTIONS_URL), environment.get(ACTIONS_TOKEN)) {
        (Some(url), Some(token)) => request(url, token, client).await,
        _ => Err(TokenError::None),
    }
}

fn non_empty(token: &str, source: &str) -> Result<String, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Empty(source.to_owned()));
    }
    Ok(token.to_owned())
}

async fn request(url: &str, token: &str, client: &ExternalClient) -> Result<String, TokenError> {
    let request = ExternalRequest::get(format!("{url}&audience={DEFAULT_AUDIENCE}"), TIMEOUT)
        .header("authorization", format!("Bearer {token}"));
    let response = client.send(request).await;
    let response = response.map_err(|error| TokenError::Actions(error.to_string()))?;
    if response.status() != 200 {
        return Err(TokenError::Actions(format!("status {}", response.status())));
    }
    let issued: Result<Issued, _> = serde_json::from_slice(response.body());
    let issued = issued.map_err(|_| TokenError::Actions("an unknown response".to_owned()))?;
    non_empty(&issued.value, "the response of GitHub Actions")
}
