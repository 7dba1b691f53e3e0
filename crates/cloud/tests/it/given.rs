//! A pod with an identity, and the clouds around it.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kube_autorollout_cloud::{Cloud, CredentialRequest, Identities, RefreshObserver, Setup};
use kube_autorollout_registry::{
    Certificate, Credential, CredentialProvider, IssueRequest, IssuedCredential, ProviderError,
    Proxy,
};
use kube_autorollout_testbed::cloud::{Clouds, Failure, Step};
use tempfile::TempDir;

/// A pod's environment and files.
pub(crate) struct Given {
    pub(crate) clouds: Clouds,
    pub(crate) folder: TempDir,
    environment: BTreeMap<String, String>,
    /// Whether `tls.caCertificatePaths` has the certificate of all hosts.
    pub(crate) trusts: bool,
    pub(crate) counted: Arc<Counted>,
}

/// How often a cloud has issued a credential, and has not.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) issued: AtomicUsize,
    pub(crate) failed: AtomicUsize,
}

impl RefreshObserver for Counted {
    fn refreshed(&self, _: Cloud, issued: bool) {
        let counter = if issued { &self.issued } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Given {
    pub(crate) async fn new() -> Self {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1)); // no registry is asked
        let clouds = Clouds::start(nobody).await;
        Self {
            clouds: clouds.expect("the clouds"),
            folder: tempfile::tempdir().expect("a folder"),
            environment: BTreeMap::new(),
            trusts: true,
            counted: Arc::default(),
        }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("LOCAL", self.clouds.local());
        self.environment.insert(name.to_owned(), value);
        self
    }

    /// A file that a variable names.
    pub(crate) fn file(self, variable: &str, text: &str) -> Self {
        let path = self.write(variable, text);
        self.variable(variable, &path.display().to_string())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn identities(&self) -> Identities {
        let ca = Certificate::from_pem(self.clouds.ca_certificate().as_bytes());
        let proxy = self.clouds.proxy();
        let setup = Setup {
            environment: &self.environment,
            certificates: ca.into_iter().filter(|_| self.trusts).collect(),
            proxy: Proxy::from_env_values(proxy, proxy, "").expect("a proxy"),
            user_agent: "test/1",
            observer: Arc::clone(&self.counted) as _,
        };
        Identities::new(setup).expect("identities")
    }

    pub(crate) fn provider(&self, wanted: CredentialRequest<'_>) -> Arc<dyn CredentialProvider> {
        self.identities().provider(wanted)
    }

    /// What is issued for a registry, by a pod that has just started.
    pub(crate) async fn issue(
        &self,
        wanted: CredentialRequest<'_>,
    ) -> Result<IssuedCredential, ProviderError> {
        let provider = self.provider(wanted);
        provider
            .issue(IssueRequest::new(wanted.registry, "web"))
            .await
    }

    /// The same, with what the clouds found nothing wrong.
    pub(crate) async fn issued(&self, wanted: CredentialRequest<'_>) -> IssuedCredential {
        let issued = self.issue(wanted).await;
        assert_eq!(self.clouds.complaints(), [""; 0]);
        issued.unwrap_or_else(|error| panic!("{error}; {}", error.advice()))
    }

    /// Checks a table of failures of steps: what is said of each, and what is advised.
    pub(crate) async fn fails(
        &self,
        wanted: CredentialRequest<'_>,
        table: &[(Step, Failure, &str, &str)],
    ) {
        for (step, failure, said, advised) in table {
            self.clouds.fail(*step, Some(failure.clone()));
            let error = self.issue(wanted).await.expect_err("it fails");
            self.clouds.fail(*step, None);
            let text = error.to_string();
            assert!(text.contains(said), "{step:?} {failure:?}: {text}");
            assert!(
                error.advice().contains(advised),
                "{text}: {}",
                error.advice()
            );
            self.shows_no_secret(&format!("{text} {} {error:?}", error.advice()));
        }
        self.issue(wanted).await.expect("it works again");
    }

    /// Nothing of what was issued, or presented for it, is in a text.
    pub(crate) fn shows_no_secret(&self, text: &str) {
        for secret in self.clouds.secrets() {
            assert!(!text.contains(&secret), "{secret}: {text}");
        }
        assert!(!text.contains("planted"), "{text}");
    }

    /// Whether a credential is a password of this user that the clouds have issued.
    pub(crate) fn is_password_of(&self, credential: &Credential, user: &str) -> bool {
        let secrets = self.clouds.secrets();
        let mut secrets = secrets.iter();
        secrets.any(|secret| *credential == Credential::password(user, secret))
    }
}

/// The credential of a registry at its own address.
pub(crate) fn wanted<'a>(cloud: Cloud, registry: &'a str, url: &'a str) -> CredentialRequest<'a> {
    CredentialRequest {
        cloud,
        registry,
        url,
        region: None,
        role_arn: None,
    }
}
