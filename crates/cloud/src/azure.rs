//! Azure: the pod's workload identity, and the refresh tokens that ACR issues for it.

mod acr;

pub(crate) use self::acr::{Acr, fetch};

/// The domains of ACR, and the resources of their tokens.
const SUFFIXES: [(&str, &str); 4] = [
    (".azurecr.io", "https://containerregistry.azure.net"),
    (".azurecr.cn", "https://containerregistry.azure.cn"),
    (".azurecr.us", "https://containerregistry.azure.us"),
    (".azurecr.de", "https://containerregistry.azure.de"),
];

/// Whether a host is a registry of ACR: a single label before the domain of a cloud.
pub(crate) fn is_host(host: &str) -> bool {
    resource(host).is_some()
}

/// The resource of the cloud of a registry.
fn resource(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let (name, resource) = SUFFIXES
        .iter()
        .find_map(|(suffix, resource)| Some((host.strip_suffix(suffix)?, *resource)))?;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = !name.is_empty() && !name.starts_with('-') && name.bytes().all(inner);
    is_name.then_some(resource)
}
