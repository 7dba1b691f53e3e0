//! The cloud identities of the pod.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use kube_autorollout_registry::{
    BuildError, Certificate, CredentialProvider, ExternalClient, InvalidCertificate, Proxy,
};
use url::Url;

use crate::{
    environment::Environment,
    http::{ENDPOINT_CONNECT_TIMEOUT, Http, METADATA_CONNECT_TIMEOUT},
    observer::RefreshObserver,
    provider::CloudIdentity,
    request::{CredentialRequest, Key},
    store::Store,
};

/// The variables that hold URLs of endpoints.
const ENDPOINTS: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_ENDPOINT_URL_STS",
];

/// The parameters of [`Identities`].
pub struct Setup<'a> {
    /// The environment variables of the process.
    pub environment: &'a BTreeMap<String, String>,
    /// Certificates to trust in addition to the public roots.
    pub certificates: Vec<Certificate>,
    /// The proxy for endpoints; requests to metadata servers bypass it.
    pub proxy: Proxy,
    /// The `User-Agent` of requests.
    pub user_agent: &'a str,
    /// Observes refreshes.
    pub observer: Arc<dyn RefreshObserver>,
}

/// A configuration error of the identities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of `AWS_CA_BUNDLE` cannot be read.
    #[error("cannot read {}, which AWS_CA_BUNDLE names", .path.display())]
    BundleFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file of `AWS_CA_BUNDLE` has no usable certificates.
    #[error("invalid CA certificates in {}, which AWS_CA_BUNDLE names", .path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: InvalidCertificate,
    },
    /// A variable is not a valid URL.
    #[error(
        "invalid URL in the environment variable {variable}; allowed: an http or https URL without a login and a query"
    )]
    Endpoint {
        /// The variable.
        variable: &'static str,
    },
    /// The TLS configuration or the user agent is invalid.
    #[error("cannot create the client of the clouds")]
    Client(#[from] BuildError),
}

/// The cloud identities of the pod. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Identities(Arc<Store>);

impl Identities {
    /// Reads the environment and the file of `AWS_CA_BUNDLE`, without any request.
    ///
    /// # Errors
    ///
    /// [`Error`] for an invalid variable or file.
    pub fn new(setup: Setup<'_>) -> Result<Self, Error> {
        let environment = Environment::new(setup.environment);
        let is_invalid = |variable: &&str| {
            let url = environment.get(variable);
            url.is_some_and(|url| !is_endpoint(url))
        };
        if let Some(variable) = ENDPOINTS.into_iter().find(is_invalid) {
            return Err(Error::Endpoint { variable });
        }
        let client = |certificates: &[Certificate], proxy, timeout| {
            ExternalClient::new(certificates, proxy, timeout, setup.user_agent)
        };
        let (own, proxy) = (&setup.certificates, &setup.proxy);
        let endpoints = client(own, proxy.clone(), ENDPOINT_CONNECT_TIMEOUT)?;
        let aws = match bundle(&environment)? {
            Some(bundle) => {
                let mut all = own.clone();
                all.push(bundle);
                client(&all, proxy.clone(), ENDPOINT_CONNECT_TIMEOUT)?
            }
            None => endpoints.clone(),
        };
        let metadata = client(&[], Proxy::default(), METADATA_CONNECT_TIMEOUT)?;
        let http = Http {
            endpoints,
            aws,
            metadata,
        };
        Ok(Self(Arc::new(Store::new(
            environment,
            http,
            setup.observer,
        ))))
    }

    /// The provider of a credential. Equal requests share the cached credential.
    pub fn provider(&self, request: CredentialRequest<'_>) -> Arc<dyn CredentialProvider> {
        let key = Key::of(&request);
        Arc::new(CloudIdentity::new(Arc::clone(&self.0), request.cloud, key))
    }
}

fn is_endpoint(url: &str) -> bool {
    url.parse::<Url>().is_ok_and(|url| {
        let is_plain = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some()
            && is_plain
            && url.query().is_none()
    })
}

fn bundle(environment: &Environment) -> Result<Option<Certificate>, Error> {
    let Some(path) = environment.get("AWS_CA_BUNDLE").map(PathBuf::from) else {
        return Ok(None);
    };
    let pem = fs::read(&path).map_err(|source| Error::BundleFile {
        path: path.clone(),
        source,
    })?;
    let certificate = Certificate::from_pem(&pem);
    certificate
        .map(Some)
        .map_err(|source| Error::Bundle { path, source })
}
