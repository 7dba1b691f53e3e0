//! A port at which a controller takes hints, and a registry that sends them there.

use std::{fs, io, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    process::{Folder, Port},
    programs::Programs,
    registry::Notifications,
};

/// What its receivers are sent as a secret.
pub const SECRET: &str = "correct-horse-battery-staple-4242";

/// The receiver of the registry's notifications.
const REGISTRY: &str = "registry";

/// Where a controller takes hints, and with what they are authenticated.
#[derive(Debug)]
pub struct Hooks {
    port: Port,
    folder: Folder,
}

impl Hooks {
    /// A free port, and a file with the secret.
    ///
    /// # Errors
    ///
    /// When neither is to be had.
    pub fn new(programs: &Programs) -> io::Result<Self> {
        let hooks = Self {
            port: Port::reserve(&programs.ports())?,
            folder: Folder::new()?,
        };
        fs::write(hooks.secret_file(), SECRET)?;
        Ok(hooks)
    }

    /// The port, on loopback.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The file with the secret of all receivers.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// The URL of a receiver.
    pub fn url(&self, receiver: &str) -> String {
        format!("http://127.0.0.1:{}/hooks/{receiver}", self.port())
    }

    /// The key `hints` of a configuration, with these receivers besides the one of the registry.
    pub fn configuration(&self, others: impl IntoIterator<Item = Value>) -> Value {
        let registry = json!({
            "name": REGISTRY,
            "type": "distribution",
            "secretFile": self.secret_file(),
        });
        let receivers: Vec<_> = others.into_iter().chain([registry]).collect();
        json!({ "port": self.port(), "receivers": receivers })
    }

    /// What a registry is configured with to send its notifications there.
    pub fn notifications(&self) -> Notifications {
        Notifications {
            url: self.url(REGISTRY),
            authorization: format!("Bearer {SECRET}"),
        }
    }
}
