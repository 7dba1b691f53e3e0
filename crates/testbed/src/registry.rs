//! Real distribution registries on loopback: plain, with a password file, with tokens.

mod configuration;
mod issuer;
mod log;
mod query;
mod token;
mod users;

use std::{fs, io, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci_spec::image::Digest;
use serde_json::json;
use tokio::net::TcpStream;

pub use configuration::{Access, Notifications};
pub use issuer::{Error as IssuerError, Issuer, TokenRequest};
pub use log::{Request, RequestLog};
pub use users::{ALICE, BOB, User};

use crate::{
    certificates::{self, Authority, signing_key},
    image::RegistryAccess,
    process::{self, Folder, Launch, Port, Server},
    programs::{Program, Programs},
};
use configuration::{CONFIGURATION, STORAGE, configure};

/// Why a registry did not start or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, a file or a port could not be allocated.
    #[error("could not prepare the registry's files")]
    Files(#[from] io::Error),
    /// A key or certificate could not be made.
    #[error("could not prepare the registry's keys")]
    Certificates(#[from] certificates::Error),
    /// The process did not start.
    #[error("the registry is not there")]
    Server(#[from] process::Error),
    /// The token server did not start.
    #[error("the registry has no token server")]
    Issuer(#[from] IssuerError),
    /// A tag or manifest could not be deleted.
    #[error("could not delete {what} of {repository}")]
    Delete {
        /// The repository.
        repository: String,
        /// The tag or manifest.
        what: String,
        /// Why; "not found" if there is no such one.
        source: io::Error,
    },
}

/// A running registry, stopped and removed with its content on drop.
pub struct Registry {
    host: String,
    access: Access,
    server: Server,
    issuer: Option<Issuer>,
    certificate: Option<String>,
    log: RequestLog,
    _port: Port,
    // After the server, so that it is removed when that is gone
    folder: Folder,
}

impl Registry {
    /// Starts a registry without content: a fraction of a second.
    ///
    /// # Errors
    ///
    /// When it does not become ready; its logs are kept then.
    pub async fn start(programs: &Programs, access: Access) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let registry = Self::assemble(programs, access, folder).await?;
        let started = registry.server.start().await;
        registry.folder.keep_on_error(started)?;
        Ok(registry)
    }

    async fn assemble(programs: &Programs, access: Access, folder: Folder) -> Result<Self, Error> {
        let port = Port::reserve(&programs.ports())?;
        let host = format!("127.0.0.1:{}", port.number());
        let secured = (access != Access::Plain)
            .then(|| Secured::new(folder.path()))
            .transpose()?;
        let issuer = match &secured {
            Some(secured) if access == Access::Token => {
                Some(Issuer::start(&secured.issuer_identity, &secured.signing_key).await?)
            }
            _ => None,
        };
        configure(folder.path(), &host, access, issuer.as_ref(), None)?;
        let server = server(programs, folder.path(), host.clone());
        Ok(Self {
            log: RequestLog::new(server.output()),
            host,
            access,
            server,
            issuer,
            certificate: secured.map(|secured| secured.authority),
            _port: port,
            folder,
        })
    }

    /// `127.0.0.1:<port>`, as it stands in image references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How it is reached.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The certificate, in PEM, of the authority that signed the registry's and its issuer's; empty for
    /// [`Access::Plain`].
    pub fn ca_certificate(&self) -> &[u8] {
        self.certificate.as_deref().unwrap_or_default().as_bytes()
    }

    /// The token server of [`Access::Token`].
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// The time for which it has used a CPU since it started last.
    pub fn cpu_time(&self) -> Duration {
        self.server.cpu_time().unwrap_or_default()
    }

    /// The requests to the registry since its first start.
    pub fn log(&self) -> RequestLog {
        self.log.clone()
    }

    /// The way here, as this user where a login is asked for, for pushes and for the nodes.
    pub fn access_as(&self, user: User) -> RegistryAccess {
        let way = RegistryAccess::new(&self.host);
        match self.access {
            Access::Plain => way,
            Access::Htpasswd | Access::Token => way
                .with_ca(self.ca_certificate())
                .with_credentials(user.name, user.password),
        }
    }

    /// A `.dockerconfigjson` with which the user logs in here.
    pub fn docker_config(&self, user: User) -> String {
        let auth = STANDARD.encode(format!("{}:{}", user.name, user.password));
        json!({"auths": {&self.host: {"auth": auth}}}).to_string()
    }

    /// Kills the registry; its content stays.
    pub fn stop(&self) {
        self.server.kill();
    }

    /// Starts the registry again, at the same address and with its content.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn restart(&self) -> Result<(), Error> {
        Ok(self.server.start().await?)
    }

    /// Moves the token server of [`Access::Token`] to another port, which the registry names from then on: it is started
    /// again for that. Tokens stay valid, and the previous port is closed.
    ///
    /// # Errors
    ///
    /// When no port is free, or the registry does not restart.
    pub async fn move_issuer(&self) -> Result<(), Error> {
        if let Some(issuer) = &self.issuer {
            issuer.relocate().await?;
            let folder = self.folder.path();
            configure(folder, &self.host, self.access, Some(issuer), None)?;
        }
        self.restart().await
    }

    /// Reports pushes from now on; the registry is started again for that.
    ///
    /// # Errors
    ///
    /// When the registry does not restart.
    pub async fn notify(&self, notifications: &Notifications) -> Result<(), Error> {
        let (folder, issuer) = (self.folder.path(), self.issuer.as_ref());
        configure(folder, &self.host, self.access, issuer, Some(notifications))?;
        self.stop();
        self.restart().await
    }

    /// Lets requests hang until [`Registry::resume`].
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub async fn pause(&self) -> Result<(), Error> {
        Ok(self.server.pause().await?)
    }

    /// Goes on after [`Registry::pause`].
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub async fn resume(&self) -> Result<(), Error> {
        Ok(self.server.resume().await?)
    }

    /// Removes a tag, not the manifests behind it. Nothing of it is in the request log.
    ///
    /// # Errors
    ///
    /// When there is no such tag.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> Result<(), Error> {
        self.delete(repository, &format!("tags/{tag}"))
    }

    /// Removes a manifest, as clean-up jobs do with those that no tag names. Nothing of it is in the request log.
    ///
    /// # Errors
    ///
    /// When there is no such manifest.
    pub fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        let (algorithm, encoded) = (digest.algorithm(), digest.digest());
        self.delete(repository, &format!("revisions/{algorithm}/{encoded}"))
    }

    fn delete(&self, repository: &str, what: &str) -> Result<(), Error> {
        let repositories = self
            .folder
            .path()
            .join(STORAGE)
            .join("docker/registry/v2/repositories");
        let folder = repositories.join(repository).join("_manifests").join(what);
        fs::remove_dir_all(folder).map_err(|source| Error::Delete {
            repository: repository.to_owned(),
            what: what.to_owned(),
            source,
        })
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// What stands behind TLS: written to the folder, except for what this process needs itself.
struct Secured {
    authority: String,
    issuer_identity: certificates::Identity,
    signing_key: rcgen::KeyPair,
}

impl Secured {
    fn new(folder: &Path) -> Result<Self, Error> {
        let authority = Authority::new("testbed registries")?;
        let identity = authority.issue()?;
        let signing_key = signing_key()?;
        let files = [
            ("server.crt", identity.certificate),
            ("server.key", identity.key),
            ("htpasswd", users::password_file()),
            ("jwks.json", token::key_set(&signing_key)),
        ];
        for (name, content) in files {
            fs::write(folder.join(name), content)?;
        }
        Ok(Self {
            authority: authority.certificate().to_owned(),
            issuer_identity: authority.issue()?,
            signing_key,
        })
    }
}

fn server(programs: &Programs, folder: &Path, host: String) -> Server {
    let launch = Launch {
        name: "registry",
        program: programs.file(Program::Registry).to_owned(),
        arguments: vec!["serve".to_owned(), CONFIGURATION.to_owned()],
        // Its default is a collector of traces on this machine
        environment: vec![("OTEL_TRACES_EXPORTER", "none".to_owned())],
        folder: folder.to_owned(),
    };
    // A connection without a request leaves no line in the access log
    Server::new(launch, move || {
        let host = host.clone();
        Box::pin(async move { TcpStream::connect(host).await.is_ok() })
    })
}
