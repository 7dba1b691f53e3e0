//! The controller's cloud identity, for the hosts that its tokens may be sent to.

use std::sync::Arc;

use kube_autorollout_cloud::{Cloud, CredentialRequest, Identities};
use kube_autorollout_core::Reference;
use kube_autorollout_registry::CredentialProvider;

use crate::config::{RegistryEntry, Secret};

/// The provider of the token for an image, or why none is sent to its registry.
///
/// A token is sent to the registries of its cloud and to hosts that the configuration names literally, by a `hostnamePattern`
/// without a wildcard or an `endpoint`; never to other hosts that a wildcard matches, as anyone who may create a workload
/// chooses those.
pub(super) fn provider(
    identities: &Identities,
    entry: &RegistryEntry,
    reference: &Reference,
) -> Result<Option<Arc<dyn CredentialProvider>>, String> {
    let Secret::CloudIdentity {
        cloud,
        region,
        role_arn,
    } = &entry.secret
    else {
        return Ok(None);
    };
    let registry = reference.registry();
    let (url, endpoint) = match &entry.endpoint {
        Some(endpoint) => (endpoint.origin(), Some(endpoint.host())),
        None if entry.plain_http => (format!("http://{registry}"), None),
        None => (format!("https://{registry}"), None),
    };
    let of_host = Cloud::of_host(registry).or_else(|| Cloud::of_host(endpoint?));
    let pattern = &entry.pattern;
    let refused = |why: &str| {
        format!(
            "no cloud's token is sent to {registry}, which hostnamePattern {pattern} matches: it is {why}; add an entry with \
             hostnamePattern {registry}, cloud and region before it if it is to have one"
        )
    };
    let Some(cloud) = cloud.or(of_host) else {
        return Err(refused("no registry of a known cloud"));
    };
    let is_literal = endpoint.is_some() || pattern.is_literal();
    if !is_literal && !cloud.has_host(registry) {
        return Err(refused(&format!("no registry of {cloud}")));
    }
    Ok(Some(identities.provider(CredentialRequest {
        cloud,
        registry,
        url: &url,
        region: region.as_deref(),
        role_arn: role_arn.as_deref(),
    })))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube_autorollout_cloud::{NoopObserver, Setup};

    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

    fn identities() -> Identities {
        let setup = Setup {
            environment: &BTreeMap::new(),
            certificates: Vec::new(),
            proxy: kube_autorollout_registry::Proxy::default(),
            user_agent: "test",
            observer: Arc::new(NoopObserver),
        };
        Identities::new(setup).expect("nothing is set")
    }

    fn found(pattern: &str, cloud: Option<Cloud>, endpoint: Option<&str>, host: &str) -> bool {
        let entry = RegistryEntry {
            pattern: pattern.parse().expect("a pattern"),
            endpoint: endpoint.map(|endpoint| endpoint.parse().expect("an endpoint")),
            secret: Secret::CloudIdentity {
                cloud,
                region: Some("eu-central-1".to_owned()),
                role_arn: None,
            },
            ca_certificates: Vec::new(),
            plain_http: false,
            max_concurrent_requests: None,
        };
        let image = format!("{host}/web:1").parse().expect("a reference");
        let found = provider(&identities(), &entry, &image);
        if let Err(problem) = &found {
            assert!(
                problem.contains(host) && problem.contains(pattern),
                "{problem}"
            );
        }
        found.is_ok_and(|found| found.is_some())
    }

    #[test]
    fn a_token_is_sent_to_hosts_of_its_cloud_and_to_literal_ones() {
        let aws = Some(Cloud::Aws);
        let evil = format!("{ECR}.evil.example");
        let cases = [
            ("*.dkr.ecr.*.amazonaws.com", None, None, ECR, true),
            ("*", None, None, ECR, true),
            ("*", aws, None, ECR, true),
            ("mirror.example.org", aws, None, "mirror.example.org", true),
            (
                "*.example.org",
                aws,
                Some("https://mirror.corp"),
                "a.example.org",
                true,
            ),
            ("*.amazonaws.com*", None, None, &*evil, false),
            ("*", None, None, &*evil, false),
            ("*", aws, None, &*evil, false),
            ("*", aws, None, "ghcr.io", false),
            ("*", aws, None, "acme.azurecr.io", false),
            ("*.example.org", aws, None, "mirror.example.org", false),
            ("*", None, None, "evil.example", false),
        ];
        for (pattern, cloud, endpoint, host, expected) in cases {
            let found = found(pattern, cloud, endpoint, host);
            assert_eq!(found, expected, "{pattern} {cloud:?} {host}");
        }
    }
}
