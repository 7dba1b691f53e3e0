//! Programs that tell who we are, as kubeconfigs of cloud providers name them
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>).

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
};

use http::{HeaderValue, header::InvalidHeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    task::{JoinError, spawn_blocking},
};

use super::{authorization::bearer, yaml};
use crate::clock;

/// A grant is renewed so long before it ends, as requests take their time.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// What a program is told on its way.
const INFORMATION: &str = "KUBERNETES_EXEC_INFO";

/// A program and what it told last.
pub(super) struct Plugin {
    program: Arc<Program>,
    granted: Mutex<Option<Arc<Grant>>>,
}

/// How a program is run.
pub(super) struct Program {
    pub(super) command: OsString,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// The version of the interface.
    pub(super) version: String,
    /// The cluster, if the program wants to know it.
    pub(super) cluster: Option<Value>,
}

/// What a program told.
pub(super) struct Grant {
    /// For each request.
    pub(super) header: Option<HeaderValue>,
    /// For each connection: a certificate and its key, in PEM.
    pub(super) identity: Option<Vec<u8>>,
    until: Option<Timestamp>,
}

/// Why a program told nothing. What it wrote may be secret and is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It could not be run.
    #[error("cannot run {command}, which the kubeconfig names")]
    Start {
        /// Its name.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It says that it failed; why is on standard error, which is ours, too.
    #[error("{command}, which the kubeconfig names, failed ({status})")]
    Failed {
        /// Its name.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It is not how the interface is.
    #[error(
        "{command}, which the kubeconfig names, did not write an ExecCredential with a token or a certificate"
    )]
    Answer {
        /// Its name.
        command: String,
    },
    /// A header cannot hold the token.
    #[error("the token has a character that no header can hold")]
    Token(#[from] InvalidHeaderValue),
    /// The runtime ends.
    #[error("was stopped")]
    Stopped(#[from] JoinError),
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Plugin {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program: Arc::new(program),
            granted: Mutex::new(None),
        }
    }

    /// What the program tells; it is run when what it told ends. All wait for one run.
    ///
    /// # Errors
    ///
    /// [`Error`] when it tells nothing.
    pub(super) async fn grant(&self) -> Result<Arc<Grant>, Error> {
        let mut granted = self.granted.lock().await;
        if let Some(grant) = &*granted
            && grant.until.is_none_or(|until| clock::now() + EARLY < until)
        {
            return Ok(Arc::clone(grant));
        }
        let program = Arc::clone(&self.program);
        let grant = Arc::new(spawn_blocking(move || program.run()).await??);
        *granted = Some(Arc::clone(&grant));
        Ok(grant)
    }
}

impl Program {
    fn run(&self) -> Result<Grant, Error> {
        let command = self.command.display().to_string();
        let output = Command::new(&self.command)
            .args(&self.arguments)
            .envs(&self.environment)
            .env(INFORMATION, self.information().to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(source) => return Err(Error::Start { command, source }),
        };
        let status = output.status;
        if !status.success() {
            return Err(Error::Failed { command, status });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        match read(&text)? {
            Some(grant) => Ok(grant),
            None => Err(Error::Answer { command }),
        }
    }

    fn information(&self) -> Value {
        let spec = match &self.cluster {
            Some(cluster) => json!({ "interactive": false, "cluster": cluster }),
            None => json!({ "interactive": false }),
        };
        json!({ "apiVersion": self.version, "kind": "ExecCredential", "spec": spec })
    }
}

fn read(text: &str) -> Result<Option<Grant>, Error> {
    let status = yaml(text)
        .ok()
        .and_then(|mut documents| documents.pop())
        .and_then(|document| serde_json::from_value::<ExecCredential>(document).ok())
        .map(|credential| credential.status);
    let Some(status) = status else {
        return Ok(None);
    };
    let identity = match (status.client_certificate_data, status.client_key_data) {
        (Some(certificate), Some(key)) => Some(format!("{certificate}\n{key}\n").into_bytes()),
        _ => None,
    };
    let header = status.token.as_deref().map(bearer).transpose()?;
    if identity.is_none() && header.is_none() {
        return Ok(None);
    }
    Ok(Some(Grant {
        header,
        identity,
        until: status.expiration_timestamp,
    }))
}
