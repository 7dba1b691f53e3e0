//! The identity of a cloud as a secret: whether it can be known which cloud is meant, and where.

use kube_autorollout_cloud::Cloud;
use kube_autorollout_registry::{Endpoint, HostPattern};

use crate::config::{
    document::Document,
    model,
    problem::KeyPath,
    registries::Secret,
    scalar::{Scalar, Valid},
    values::Region,
};

/// Which hosts an entry is for, and where they are asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) pattern: Option<&'a HostPattern>,
    pub(super) endpoint: Option<&'a Endpoint>,
}

impl Asked<'_> {
    /// Whether a host is asked without TLS.
    pub(super) fn is_plain(self, plain_http: Option<&Valid<bool>>) -> bool {
        match self.endpoint {
            Some(endpoint) => endpoint.origin().starts_with("http:"),
            None => plain_http.is_some_and(|plain| plain.0),
        }
    }

    /// The hosts that are written out: they alone say which cloud is meant, where nothing else does.
    fn written(self) -> impl Iterator<Item = String> {
        let pattern = self.pattern.filter(|pattern| pattern.is_literal());
        let pattern = pattern.map(ToString::to_string);
        let endpoint = self.endpoint.map(|endpoint| endpoint.host().to_owned());
        pattern.into_iter().chain(endpoint)
    }

    /// Whether the pattern leaves open which hosts are meant.
    fn is_open(self) -> bool {
        self.pattern.is_none_or(|pattern| !pattern.is_literal())
    }

    fn cloud(self) -> Option<Cloud> {
        self.written().find_map(|host| Cloud::of_host(&host))
    }
}

/// Checks that the cloud, and for AWS the region, is known where one host is meant.
pub(super) fn cloud_identity(
    secret: model::Secret,
    asked: Asked<'_>,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Secret> {
    let written = secret.cloud.map(|Valid(cloud)| cloud);
    let of_host = asked.cloud();
    if of_host.is_none() && !asked.is_open() {
        document.missing(path.key("cloud"), Cloud::ALLOWED);
    }
    if let (Some(written), Some(of_host)) = (written, of_host)
        && written != of_host
    {
        let allowed = format!("{of_host}, as the host is one of its registries");
        document.invalid(path.key("cloud"), &allowed);
        return None;
    }
    let cloud = written.or(of_host);
    if cloud.is_some_and(|cloud| cloud != Cloud::Aws) {
        for key in ["region", "roleArn"] {
            if document.has(&path.key(key)) {
                document.warn(&path.key(key), "is ignored for this cloud");
            }
        }
    }
    if written == Some(Cloud::Aws) && of_host.is_none() && !asked.is_open() {
        document.missing(path.key("region"), Region::ALLOWED);
    }
    Some(Secret::CloudIdentity {
        cloud: written,
        region: secret.region.map(|Valid(region)| region.0),
        role_arn: secret.role_arn.map(|Valid(role)| role.0),
    })
}
