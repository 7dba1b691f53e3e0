//! The identities of the pod in the clouds.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use kube_autorollout_registry::{
    BuildError, Certificate, CredentialProvider, InvalidCertificate, Proxy, TokenClient,
};
use url::Url;

use crate::{
    environment::Environment,
    http::{ENDPOINT_CONNECT_TIMEOUT, Http, METADATA_CONNECT_TIMEOUT},
    observer::RefreshObserver,
    provider::CloudIdentity,
    store::Store,
    wanted::{Key, Wanted},
};

/// The variables that hold URLs of endpoints.
const ENDPOINTS: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_ENDPOINT_URL_STS",
];

/// What identities are made of.
pub struct Setup<'a> {
    /// The variables of the process.
    pub environment: &'a BTreeMap<String, String>,
    /// Trusted beside the public roots.
    pub certificates: Vec<Certificate>,
    /// On the way to endpoints; metadata servers are asked directly.
    pub proxy: Proxy,
    /// Of the requests.
    pub user_agent: &'a str,
    /// Is notified of every refresh.
    pub observer: Arc<dyn RefreshObserver>,
}

/// Why there are no identities: something for the user to correct.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of `AWS_CA_BUNDLE` cannot be read.
    #[error("cannot read {}, which AWS_CA_BUNDLE names", .path.display())]
    BundleFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of `AWS_CA_BUNDLE` has no usable certificates.
    #[error("invalid CA certificates in {}, which AWS_CA_BUNDLE names", .path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidCertificate,
    },
    /// A variable holds no URL.
    #[error(
        "invalid URL in the environment variable {variable}; allowed: an http or https URL without a login and a query"
    )]
    Endpoint {
        /// The variable.
        variable: &'static str,
    },
    /// TLS cannot be set up, or the user agent cannot be sent.
    #[error("cannot create the client of the clouds")]
    Client(#[from] BuildError),
}

/// The identities of the pod. Cloning is cheap, and clones share everything.
#[derive(Debug, Clone)]
pub struct Identities(Arc<Store>);

impl Identities {
    /// Reads variables, and the certificates that one of them names; asks nobody yet.
    ///
    /// # Errors
    ///
    /// [`Error`] names what cannot be used.
    pub fn new(setup: Setup<'_>) -> Result<Self, Error> {
        let environment = Environment::new(setup.environment);
        for variable in ENDPOINTS {
            if environment
                .get(variable)
                .is_some_and(|url| !is_endpoint(url))
            {
                return Err(Error::Endpoint { variable });
            }
        }
        let client = |certificates: &[Certificate], proxy, timeout| {
            TokenClient::new(certificates, proxy, timeout, setup.user_agent)
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
        let store = Store::new(environment, http, setup.observer);
        Ok(Self(Arc::new(store)))
    }

    /// Where a credential comes from. Asking for it twice gives the same.
    pub fn provider(&self, wanted: Wanted<'_>) -> Arc<dyn CredentialProvider> {
        let key = Key::of(&wanted);
        Arc::new(CloudIdentity::new(Arc::clone(&self.0), wanted.cloud, key))
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
