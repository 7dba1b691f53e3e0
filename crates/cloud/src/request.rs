//! Requests for credentials, and their cache keys.

use crate::{
    aws::{Ecr, EcrHost},
    azure::{self, Acr},
    cloud::Cloud,
    http::host_of,
};

/// A request for a credential.
#[derive(Debug, Clone, Copy)]
pub struct CredentialRequest<'a> {
    /// The cloud that issues it.
    pub cloud: Cloud,
    /// The registry's host in image references.
    pub registry: &'a str,
    /// The registry's endpoint: scheme, host and port, without a path.
    pub url: &'a str,
    /// The AWS region, for hosts that do not contain it.
    pub region: Option<&'a str>,
    /// The ARN of an AWS role to assume.
    pub role_arn: Option<&'a str>,
}

/// The cache key of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Ecr(Ecr),
    /// A registry of AWS in an unknown region.
    UnknownRegion,
    Google,
    Acr(Acr),
}

impl Key {
    pub(crate) fn of(request: &CredentialRequest<'_>) -> Self {
        let endpoint = host_of(request.url);
        match request.cloud {
            Cloud::Gcp => Self::Google,
            Cloud::Azure => {
                let hosts = [request.registry, &endpoint];
                let service = hosts.into_iter().find(|host| azure::is_host(host));
                Self::Acr(Acr {
                    url: request.url.trim_end_matches('/').to_owned(),
                    service: service.unwrap_or(request.registry).to_owned(),
                })
            }
            Cloud::Aws => {
                let host = EcrHost::parse(request.registry).or_else(|| EcrHost::parse(&endpoint));
                let configured = || {
                    Some(EcrHost::Private {
                        region: request.region?.to_owned(),
                        fips: false,
                        dual_stack: false,
                    })
                };
                let role = request.role_arn.map(str::to_owned);
                host.or_else(configured)
                    .map_or(Self::UnknownRegion, |host| Self::Ecr(Ecr { host, role }))
            }
        }
    }
}
