//! A secret of type `CloudIdentity`: the cloud, and for AWS the region, must be known.

use kube_autorollout_cloud::Cloud;
use kube_autorollout_registry::{Endpoint, HostPattern};

use crate::config::{
    document::Document,
    model,
    problem::KeyPath,
    scalar::{Scalar as _, value},
    settings::Secret,
    values::Region,
};

/// The hosts of an entry.
pub(super) struct Hosts {
    /// Whether the entry may apply to hosts that are not known here.
    is_open: bool,
    /// The cloud of a known host.
    cloud: Option<Cloud>,
}

impl Hosts {
    pub(super) fn new(pattern: Option<&HostPattern>, endpoint: Option<&Endpoint>) -> Self {
        let literal = pattern.filter(|pattern| pattern.is_literal());
        let cloud_of_endpoint = || Cloud::of_host(endpoint?.host());
        Self {
            is_open: literal.is_none(),
            cloud: literal
                .and_then(|host| Cloud::of_host(&host.to_string()))
                .or_else(cloud_of_endpoint),
        }
    }
}

/// The identity, unless the cloud or its region is unknown for a single host.
pub(super) fn cloud_identity(
    secret: model::Secret,
    hosts: &Hosts,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Secret> {
    let written = value(secret.cloud);
    let is_unknown = hosts.cloud.is_none() && !hosts.is_open;
    if is_unknown {
        document.require(path.key("cloud"), Cloud::ALLOWED);
    }
    if let (Some(written), Some(of_host)) = (written, hosts.cloud)
        && written != of_host
    {
        let allowed = format!("{of_host}, as the host is one of its registries");
        document.invalid(path.key("cloud"), &allowed);
        return None;
    }
    let cloud = written.or(hosts.cloud);
    if cloud.is_some_and(|cloud| cloud != Cloud::Aws) {
        for key in ["region", "roleArn"] {
            if document.has(&path.key(key)) {
                document.warn(&path.key(key), "is ignored for this cloud");
            }
        }
    }
    if is_unknown && written == Some(Cloud::Aws) {
        document.require(path.key("region"), Region::ALLOWED);
    }
    Some(Secret::CloudIdentity {
        cloud: written,
        region: value(secret.region).map(|Region(region)| region),
        role_arn: value(secret.role_arn).map(|role| role.0),
    })
}
