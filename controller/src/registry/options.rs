//! Creates the clients for registries and other servers by the configuration and the environment.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use kube_autorollout_cloud as cloud;
use kube_autorollout_registry as registry;

use crate::{
    config::{CaFile, Config, RegistryEntry, Secret},
    constants,
};

/// The deadline for name resolution, TCP and TLS of a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The controller's limit of concurrent requests to one host.
pub(crate) const CONTROLLER_REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// The limit while a person waits. An index needs a second request, for its platforms: with this limit, 100 images of one host
/// still take less than 20 round trips.
pub(crate) const CHECK_REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

// Upper case takes precedence, as in hyper-util.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP_PROXY: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Why a client cannot be created; the user has to correct it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An invalid proxy. Its value may contain a password and is not shown.
    #[error("invalid proxy in the environment variable {variable}; allowed: http://host:port")]
    Proxy {
        /// The variable.
        variable: &'static str,
    },
    /// A file with invalid certificates.
    #[error("invalid CA certificates in {}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: registry::InvalidCertificate,
    },
    /// An invalid environment variable of a cloud.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// Any other error.
    #[error("cannot create the registry client")]
    Build(#[from] registry::BuildError),
}

/// The controller's cloud identities, if an entry of the configuration needs one.
///
/// # Errors
///
/// [`Error`] when the environment or a certificate is invalid.
pub(crate) fn identities(
    config: &Config,
    environment: &BTreeMap<String, String>,
    observer: Arc<dyn cloud::RefreshObserver>,
) -> Result<Option<cloud::Identities>, Error> {
    let is_cloud = |entry: &RegistryEntry| matches!(entry.secret, Secret::CloudIdentity { .. });
    if !config.registries.iter().any(is_cloud) {
        return Ok(None);
    }
    let certificates = config.ca_certificates.iter().map(certificate);
    let identities = cloud::Identities::new(cloud::Setup {
        environment,
        certificates: certificates.collect::<Result<_, _>>()?,
        proxy: proxy(environment)?,
        user_agent: constants::USER_AGENT,
        observer,
    });
    Ok(Some(identities?))
}

/// A client for single requests to servers other than registries.
///
/// # Errors
///
/// [`Error`] when the configuration or the environment is invalid.
pub(crate) fn external_client(
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<registry::ExternalClient, Error> {
    let certificates = config.ca_certificates.iter().map(certificate);
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>()?;
    new_external_client(&certificates, proxy(environment)?)
}

/// A client for single requests to other replicas, without a proxy.
///
/// # Errors
///
/// [`Error`] when it cannot be created.
pub(crate) fn replica_client() -> Result<registry::ExternalClient, Error> {
    new_external_client(&[], registry::Proxy::default())
}

fn new_external_client(
    certificates: &[registry::Certificate],
    proxy: registry::Proxy,
) -> Result<registry::ExternalClient, Error> {
    let agent = constants::USER_AGENT;
    let client = registry::ExternalClient::new(certificates, proxy, CONNECT_TIMEOUT, agent);
    Ok(client?)
}

/// A client for registries. `requests` is the limit of concurrent requests to one host, unless another one is configured.
///
/// # Errors
///
/// [`Error`] when the configuration or the environment is invalid.
pub(crate) fn registry_client(
    config: &Config,
    environment: &BTreeMap<String, String>,
    observer: Arc<dyn registry::Observer>,
    requests: NonZeroUsize,
) -> Result<registry::RegistryClient, Error> {
    let mut builder = registry::RegistryClient::builder()
        .user_agent(constants::USER_AGENT)
        .client_id(constants::NAME)
        .observer(observer)
        .proxy(proxy(environment)?)
        .artifactory_fallback(config.artifactory_fallback)
        .max_concurrent_requests(requests);
    for file in &config.ca_certificates {
        builder = builder.certificate(certificate(file)?);
    }
    for entry in &config.registries {
        builder = builder.host(host_options(entry)?);
    }
    Ok(builder.build()?)
}

/// The proxies of the environment.
fn proxy(environment: &BTreeMap<String, String>) -> Result<registry::Proxy, Error> {
    let value = |names| variable(environment, names).map_or("", |(_, value)| value);
    let proxy =
        registry::Proxy::from_env_values(value(HTTPS_PROXY), value(HTTP_PROXY), value(NO_PROXY));
    proxy.map_err(|invalid| {
        let names = if invalid.scheme == "http" {
            HTTP_PROXY
        } else {
            HTTPS_PROXY
        };
        let [first, _] = names;
        let variable = variable(environment, names).map_or(first, |(name, _)| name);
        Error::Proxy { variable }
    })
}

/// The first variable that is set and not empty, and its value.
fn variable<'e>(
    environment: &'e BTreeMap<String, String>,
    names: [&'static str; 2],
) -> Option<(&'static str, &'e str)> {
    let set = |name| environment.get(name).filter(|value| !value.is_empty());
    let mut found = names
        .into_iter()
        .filter_map(|name| Some((name, set(name)?)));
    found.next().map(|(name, value)| (name, value.as_str()))
}

fn host_options(entry: &RegistryEntry) -> Result<registry::HostOptions, Error> {
    let mut options =
        registry::HostOptions::new(entry.pattern.clone()).plain_http(entry.plain_http);
    if let Some(endpoint) = &entry.endpoint {
        options = options.endpoint(endpoint.clone());
    }
    if let Some(limit) = entry.max_concurrent_requests {
        options = options.max_concurrent_requests(limit);
    }
    for file in &entry.ca_certificates {
        options = options.certificate(certificate(file)?);
    }
    Ok(options)
}

fn certificate(file: &CaFile) -> Result<registry::Certificate, Error> {
    registry::Certificate::from_pem(&file.pem).map_err(|source| Error::Certificate {
        path: file.path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn variables_may_be_lower_case_and_empty_ones_count_as_unset() {
        let cases = [
            (vec![], None),
            (vec![("https_proxy", "a:1")], Some(("https_proxy", "a:1"))),
            (
                vec![("https_proxy", "a:1"), ("HTTPS_PROXY", "b:1")],
                Some(("HTTPS_PROXY", "b:1")),
            ),
            (
                vec![("https_proxy", "a:1"), ("HTTPS_PROXY", "")],
                Some(("https_proxy", "a:1")),
            ),
            (vec![("HTTP_PROXY", "a:1")], None),
        ];
        for (variables, expected) in cases {
            let environment = environment(&variables);
            let found = variable(&environment, HTTPS_PROXY);
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_reported_by_its_variable_without_its_password() {
        let config = crate::config::load(None, &BTreeMap::new())
            .expect("the defaults")
            .config;
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            let variables = environment(&[(name, "socks5://user:planted@proxy:1080")]);
            let observer = Arc::new(registry::NoopObserver);
            let error = registry_client(&config, &variables, observer, CONTROLLER_REQUESTS)
                .expect_err("it cannot be used")
                .to_string();
            assert!(error.contains(name), "{name}: {error}");
            assert!(!error.contains("planted"), "{error}");
        }
    }
}
