//! Which credential is wanted, and what it is kept under.

use crate::{
    aws::{Ecr, EcrHost},
    azure::{self, Acr},
    cloud::Cloud,
    http::host_of,
};

/// Which credential is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The cloud that issues it.
    pub cloud: Cloud,
    /// The registry as images name it.
    pub registry: &'a str,
    /// Where the registry is asked: scheme, host and port, without a path.
    pub url: &'a str,
    /// Of a registry of AWS whose host does not say it.
    pub region: Option<&'a str>,
    /// A role of AWS to be assumed.
    pub role_arn: Option<&'a str>,
}

/// What a credential is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Ecr(Ecr),
    /// A registry of AWS in no known region.
    Nowhere,
    Google,
    Acr(Acr),
}

impl Key {
    pub(crate) fn of(wanted: &Wanted<'_>) -> Self {
        let asked = host_of(wanted.url);
        match wanted.cloud {
            Cloud::Gcp => Self::Google,
            Cloud::Azure => {
                let own = [wanted.registry, &asked];
                let service = own.into_iter().find(|host| azure::is_host(host));
                Self::Acr(Acr {
                    url: wanted.url.trim_end_matches('/').to_owned(),
                    service: service.unwrap_or(wanted.registry).to_owned(),
                })
            }
            Cloud::Aws => {
                let host = EcrHost::parse(wanted.registry).or_else(|| EcrHost::parse(&asked));
                let named = || {
                    Some(EcrHost::Private {
                        region: wanted.region?.to_owned(),
                        fips: false,
                        dual_stack: false,
                    })
                };
                let role = wanted.role_arn.map(str::to_owned);
                host.or_else(named)
                    .map_or(Self::Nowhere, |host| Self::Ecr(Ecr { host, role }))
            }
        }
    }
}
