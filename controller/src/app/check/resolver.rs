//! Resolves one image.

use kube_autorollout_core::{
    Digest, Reference,
    manifest::{Index, Manifest},
    platform::{Platform, Platforms},
    reference,
    state::Reason,
};
use kube_autorollout_registry::{CredentialChain, Keyring, RegistryClient};

use super::result::{CheckResult, Resolved};
use crate::registry::{credentials::Configured, failure::Failure};

/// Resolves images as the controller does.
pub(super) struct Resolver {
    pub(super) client: RegistryClient,
    /// Replaces the pull Secrets of the pods.
    pub(super) keyring: Keyring,
    pub(super) configured: Configured,
    /// The configured platforms.
    pub(super) platforms: Platforms,
}

impl Resolver {
    pub(super) async fn check(&self, image: &str) -> CheckResult {
        CheckResult {
            image: image.to_owned(),
            result: self.resolve(image).await,
        }
    }

    async fn resolve(&self, image: &str) -> Result<Resolved, Failure> {
        let reference = reference::parse(image).map_err(|error| Failure {
            advice: "use the form registry/repository:tag",
            ..Failure::invalid_reference(error)
        })?;
        let at_endpoint = self.configured.at_endpoint(&reference);
        let credentials = self.keyring.lookup(&at_endpoint);
        let credentials = self.configured.chain(credentials, &reference);
        let resolved = self.client.resolve(&reference, &credentials).await;
        let resolved = resolved.map_err(|error| {
            let failure = Failure::of(&reference, &error);
            let missing = self.keyring.missing(&at_endpoint).cloned();
            let missing = missing.or_else(|| self.configured.missing(&reference));
            match missing.filter(|_| credentials.is_empty()) {
                Some(missing) => failure.with_missing(&missing),
                None => failure,
            }
        })?;
        let manifest = self.manifest(&reference, &resolved.digest, &credentials);
        let platforms = match manifest.await? {
            Manifest::Index(index) => {
                Some(self.platforms_of(&reference, &index, &credentials).await?)
            }
            Manifest::Image(image) => match image.artifact {
                Some(artifact) => return Err(Failure::not_an_image(&reference, &artifact)),
                None => None,
            },
        };
        Ok(Resolved {
            digest: resolved.digest,
            media_type: resolved.media_type,
            platforms,
            authentication: resolved.auth_method,
            identity: resolved.identity,
            rate_limit: resolved.rate_limit,
        })
    }

    async fn manifest(
        &self,
        reference: &Reference,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Failure> {
        let manifest = self.client.manifest(reference, digest, credentials).await;
        let manifest = manifest.map_err(|error| Failure::of(reference, &error))?;
        Manifest::parse(&manifest.media_type, &manifest.body)
            .map_err(|error| Failure::unreadable_manifest(reference, digest, &error))
    }

    /// The platforms of an index, if at least one is configured. An entry without a platform may be an artifact, which only
    /// its manifest shows.
    async fn platforms_of(
        &self,
        reference: &Reference,
        index: &Index,
        credentials: &CredentialChain,
    ) -> Result<Vec<Platform>, Failure> {
        let selected = index.select(&self.platforms);
        if let Some(first) = selected.first()
            && selected.iter().all(|entry| entry.platform.is_none())
            && let Manifest::Image(image) =
                self.manifest(reference, &first.digest, credentials).await?
            && let Some(artifact) = image.artifact
        {
            if index.platforms().next().is_none() {
                return Err(Failure::not_an_image(reference, &artifact));
            }
            return platforms(reference, index, false);
        }
        platforms(reference, index, !selected.is_empty())
    }
}

/// The distinct platforms of an index, if at least one of its entries is selected.
fn platforms(
    reference: &Reference,
    index: &Index,
    is_selected: bool,
) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for platform in index.platforms() {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    // The platforms of an index of indexes are in its children.
    if is_selected || index.runnable().next().is_none() {
        return Ok(platforms);
    }
    let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    Err(Failure {
        reason: Reason::NoMatchingPlatform,
        detail: format!(
            "{reference}: no image for the configured platforms; the index has {}",
            platforms.join(", ")
        ),
        advice: "build the image for these platforms, or change platforms in the configuration",
        transient: false,
        retry_after: None,
        refused: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let manifests: Vec<_> = platforms
            .iter()
            .map(|platform| {
                let (os, architecture) = platform.split_once('/').expect("a platform");
                serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": format!("sha256:{}", "a".repeat(64)),
                    "platform": { "os": os, "architecture": architecture },
                })
            })
            .collect();
        let body = serde_json::json!({ "manifests": manifests }).to_string();
        match Manifest::parse("application/vnd.oci.image.index.v1+json", body.as_bytes()) {
            Ok(Manifest::Index(index)) => index,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_index_must_have_one_of_the_configured_platforms() {
        let reference = "a.io/web:1".parse().expect("a reference");
        let both = index(&["linux/amd64", "linux/arm64", "linux/amd64"]);
        let found = |wanted: &Platforms| {
            platforms(&reference, &both, !both.select(wanted).is_empty()).map(|platforms| {
                platforms
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            })
        };
        let of = |text: &str| Platforms::Of(vec![text.parse().expect("a platform")]);
        let all = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        assert_eq!(found(&Platforms::Every), Ok(all.to_vec()));
        assert_eq!(found(&of("linux/arm64")), Ok(all.to_vec()));
        let failure = found(&of("linux/s390x")).expect_err("it has no such platform");
        assert_eq!(failure.reason, Reason::NoMatchingPlatform);
        assert!(
            failure.detail.ends_with("linux/amd64, linux/arm64"),
            "{failure:?}"
        );
    }
}
