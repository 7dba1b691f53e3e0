//! The credentials that the clouds have issued, and the failures that are injected.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::time::Instant;

use super::{
    AGENT_TOKEN, SERVICE_ACCOUNT_TOKEN, STATIC_KEYS,
    request::{RecordedRequest, Step},
};

/// How a step fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// With this status and the cloud's own error code; the message repeats what was presented.
    Code(u16, &'static str),
    /// With a web page.
    Malformed,
    /// With a redirect to this URL.
    Redirect(String),
}

/// How registries mistreat clients with a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistreatment {
    /// They redirect to [`EVIL`](super::EVIL).
    Redirect,
    /// They name a token server there to every client.
    Realm,
    /// They refuse, as the role lacks a permission.
    Forbid,
}

/// A secret that was issued.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) text: String,
    /// The identity that it is for: a role, for keys.
    pub(super) owner: String,
    expires: Instant,
}

/// Keys of AWS.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) secret: String,
    pub(super) session: Option<String>,
    pub(super) arn: String,
}

/// The state of the clouds.
pub(super) struct State {
    pub(super) life: Duration,
    pub(super) failures: BTreeMap<Step, Failure>,
    pub(super) away: bool,
    pub(super) mistreatment: Option<Mistreatment>,
    pub(super) asked: Vec<RecordedRequest>,
    pub(super) complaints: Vec<String>,
    /// By the ID of the access key.
    pub(super) keys: BTreeMap<String, Keys>,
    issued: Vec<Secret>,
    revoked: BTreeSet<String>,
}

impl Default for State {
    fn default() -> Self {
        let (id, secret) = STATIC_KEYS;
        let keys = Keys {
            secret: secret.to_owned(),
            session: None,
            arn: "arn:aws:iam::123456789012:user/static".to_owned(),
        };
        Self {
            life: Duration::from_secs(3600),
            failures: BTreeMap::new(),
            away: false,
            mistreatment: None,
            asked: Vec::new(),
            complaints: Vec::new(),
            keys: BTreeMap::from([(id.to_owned(), keys)]),
            issued: Vec::new(),
            revoked: BTreeSet::new(),
        }
    }
}

impl State {
    /// Issues a secret with a text of its own.
    pub(super) fn issue(&mut self, kind: &str, owner: &str) -> String {
        let text = format!("planted-{kind}-{}", self.issued.len() + 1);
        self.keep(text.clone(), owner);
        text
    }

    /// Issues this text as a secret.
    pub(super) fn keep(&mut self, text: String, owner: &str) {
        self.issued.push(Secret {
            text,
            owner: owner.to_owned(),
            expires: Instant::now() + self.life,
        });
    }

    /// Issues keys of a role.
    pub(super) fn issue_keys(&mut self, arn: &str) -> (String, Keys) {
        let id = format!("ASIA{}", self.issued.len());
        let keys = Keys {
            secret: self.issue("secret-key", arn),
            session: Some(self.issue("session-token", arn)),
            arn: arn.to_owned(),
        };
        self.keys.insert(id.clone(), keys.clone());
        (id, keys)
    }

    /// The owner of a secret that is valid now.
    pub(super) fn owner(&self, text: &str) -> Option<String> {
        let mut issued = self.issued.iter();
        let secret = issued.find(|secret| secret.text == text)?;
        let good = Instant::now() < secret.expires && !self.revoked.contains(text);
        good.then(|| secret.owner.clone())
    }

    pub(super) fn revoke(&mut self) {
        let issued = self.issued.iter().map(|secret| secret.text.clone());
        self.revoked.extend(issued);
    }

    pub(super) fn complain(&mut self, step: Step, what: &str) {
        self.complaints.push(format!("{step:?}: {what}"));
    }

    /// All secrets, also as they are encoded for Basic authentication.
    pub(super) fn secrets(&self) -> Vec<String> {
        let encoded = |text: &String| {
            let users = ["AWS", "oauth2accesstoken"];
            users.map(|user| BASE64_STANDARD.encode(format!("{user}:{text}")))
        };
        let issued = self.issued.iter().map(|secret| &secret.text);
        let presented = [STATIC_KEYS.1, SERVICE_ACCOUNT_TOKEN, AGENT_TOKEN];
        let logins = issued.clone().flat_map(encoded);
        let texts = issued.cloned().chain(presented.map(str::to_owned));
        texts.chain(logins).collect()
    }
}
