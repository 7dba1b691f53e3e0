//! Pull Secrets, read by name and kept for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use kube_autorollout_registry::Keyring;
use tokio::time;

use super::Told;
use crate::{chain::Chain, clock};

/// How long a Secret is kept that no registry refuses.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// After which the API server counts as not having answered.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a Secret is.
type Name = (String, String);

/// Reads Secrets.
pub(super) struct Secrets {
    client: Client,
    kept: Mutex<HashMap<Name, Arc<Entry>>>,
    told: Told,
}

#[derive(Default)]
struct Entry {
    /// Held while the Secret is read, by the one who waits for it.
    read: tokio::sync::Mutex<Option<Read>>,
    /// The last time that a registry refused what it holds.
    refused: Mutex<Option<Timestamp>>,
}

#[derive(Clone)]
struct Read {
    at: Timestamp,
    /// Nothing where the Secret cannot be used.
    keyring: Arc<Keyring>,
}

impl Secrets {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
            told: Told::default(),
        }
    }

    /// What the Secrets of these names hold together. One that is missing or malformed is told of and left out: the
    /// kubelet would fail or go on without it, and we only want to look.
    pub(super) async fn keyring(&self, namespace: &str, names: &[String]) -> Keyring {
        let mut keyring = Keyring::default();
        for name in names {
            keyring.extend(&*self.secret(namespace, name).await);
        }
        keyring
    }

    /// A registry refused what it was asked at `asked`: what was read before is not trusted any more.
    pub(super) fn distrust(&self, namespace: &str, names: &[String], asked: Timestamp) {
        let kept = lock(&self.kept);
        for name in names {
            if let Some(entry) = kept.get(&(namespace.to_owned(), name.clone())) {
                *lock(&entry.refused) = Some(asked);
            }
        }
    }

    async fn secret(&self, namespace: &str, name: &str) -> Arc<Keyring> {
        let entry = {
            let mut kept = lock(&self.kept);
            Arc::clone(
                kept.entry((namespace.to_owned(), name.to_owned()))
                    .or_default(),
            )
        };
        let mut read = entry.read.lock().await;
        let now = clock::now();
        if let Some(read) = read.as_ref().filter(|read| entry.is_trusted(read, now)) {
            return Arc::clone(&read.keyring);
        }
        let place = format!("{namespace}/{name}");
        let keyring = match self.get(namespace, name).await {
            Ok(keyring) => {
                self.told.note(&place, None);
                Arc::new(keyring)
            }
            Err(error @ Error::Forbidden) => {
                let trouble =
                    format!("pull Secrets in namespace {namespace} are not used: {error}");
                self.told.note(namespace, Some(trouble));
                Arc::default()
            }
            Err(error) => {
                let before = read.as_ref().filter(|_| error.says_nothing());
                let what = match before {
                    Some(_) => "cannot be read again, and is used as it was",
                    None => "is not used",
                };
                let trouble = format!("pull Secret {place} {what}: {}", Chain(&error));
                self.told.note(&place, Some(trouble));
                if error.says_nothing() {
                    return before
                        .map(|read| Arc::clone(&read.keyring))
                        .unwrap_or_default();
                }
                Arc::default()
            }
        };
        *read = Some(Read {
            at: now,
            keyring: Arc::clone(&keyring),
        });
        keyring
    }

    async fn get(&self, namespace: &str, name: &str) -> Result<Keyring, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = time::timeout(GET_TIMEOUT, api.get(name))
            .await
            .map_err(|_| Error::Timeout)?;
        let secret = secret.map_err(|error| match error {
            kube::Error::Api(status) if status.is_forbidden() => Error::Forbidden,
            kube::Error::Api(status) if status.is_not_found() => Error::NotFound,
            error => Error::Get(error),
        })?;
        parse(&secret)
    }
}

impl Entry {
    /// Recent, and not refused since.
    fn is_trusted(&self, read: &Read, now: Timestamp) -> bool {
        let age = now.duration_since(read.at);
        let refused = lock(&self.refused).is_some_and(|asked| asked >= read.at);
        !refused && !age.is_negative() && age < KEPT
    }
}

/// Why a pull Secret is left out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(
        "they may not be read: add the verb get on secrets to the role of the controller, or configure the registry"
    )]
    Forbidden,
    #[error("it does not exist")]
    NotFound,
    #[error("the API server did not answer in time")]
    Timeout,
    #[error("it cannot be read")]
    Get(#[source] kube::Error),
    #[error(
        "its type is {0}: a pull Secret is kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg"
    )]
    Type(String),
    #[error("it has no key {0}")]
    Key(&'static str),
    #[error(transparent)]
    Malformed(#[from] kube_autorollout_registry::DockerConfigError),
}

impl Error {
    /// The API server is away or in trouble, so the Secret may be what it was.
    fn says_nothing(&self) -> bool {
        matches!(self, Self::Timeout | Self::Get(_))
    }
}

/// The type decides the key, as for the kubelet.
fn parse(secret: &Secret) -> Result<Keyring, Error> {
    let mut keyring = Keyring::default();
    let data = |key: &'static str| {
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        value
            .map(|value| value.0.as_slice())
            .filter(|value| !value.is_empty())
            .ok_or(Error::Key(key))
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => keyring.add_config_json(data(".dockerconfigjson")?)?,
        "kubernetes.io/dockercfg" => keyring.add_dockercfg(data(".dockercfg")?)?,
        other => return Err(Error::Type(other.to_owned())),
    }
    Ok(keyring)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::{Request, Response, StatusCode};
    use k8s_openapi::ByteString;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    fn secret(type_: &str, key: &str, value: &str) -> Secret {
        Secret {
            type_: Some(type_.to_owned()),
            data: Some([(key.to_owned(), ByteString(value.into()))].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn both_types_of_pull_secrets_are_read() {
        let entry = r#"{"a.io": {"username": "a", "password": "p"}}"#;
        let old = parse(&secret("kubernetes.io/dockercfg", ".dockercfg", entry)).expect("a Secret");
        let new = format!(r#"{{"auths": {entry}}}"#);
        let new = parse(&secret(
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            &new,
        ))
        .expect("a Secret");
        assert_eq!(old, new);
        assert!(new.only().is_some());
    }

    #[test]
    fn what_is_no_pull_secret_says_why() {
        let cases = [
            (
                secret("Opaque", ".dockerconfigjson", "{}"),
                "its type is Opaque",
            ),
            (
                secret("kubernetes.io/dockercfg", ".dockerconfigjson", "{}"),
                "it has no key .dockercfg",
            ),
            (
                secret("kubernetes.io/dockercfg", ".dockercfg", ""),
                "it has no key .dockercfg",
            ),
            (
                secret("kubernetes.io/dockercfg", ".dockercfg", "{"),
                "malformed",
            ),
        ];
        for (secret, expected) in cases {
            let error = parse(&secret).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// What the API server says to every question.
    type Says = Arc<Mutex<(StatusCode, Value)>>;

    fn secrets(says: &Says) -> Secrets {
        let says = Arc::clone(says);
        let service = service_fn(move |_: Request<Body>| {
            let (status, answer) = lock(&says).clone();
            let body = Body::from(answer.to_string().into_bytes());
            async move { Response::builder().status(status).body(body) }
        });
        Secrets::new(Client::new(service, "own"))
    }

    fn status(code: StatusCode, reason: &str) -> (StatusCode, Value) {
        let status = json!({ "kind": "Status", "code": code.as_u16(), "reason": reason });
        (code, status)
    }

    #[tokio::test]
    async fn what_was_read_lasts_through_an_outage_of_the_api_server_and_no_longer() {
        let config = r#"{"auths": {"a.io": {"username": "a", "password": "p"}}}"#;
        let secret = secret(
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            config,
        );
        let good = serde_json::to_value(&secret).expect("JSON");
        let says = Arc::new(Mutex::new((StatusCode::OK, good)));
        let secrets = secrets(&says);
        let names = ["login".to_owned()];
        let keyring = async || {
            // A registry's doubt makes it be read again.
            secrets.distrust("own", &names, clock::now());
            secrets.keyring("own", &names).await
        };
        let read = keyring().await;
        assert!(read.only().is_some());
        *lock(&says) = status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        assert_eq!(keyring().await, read, "it may be what it was");
        *lock(&says) = status(StatusCode::NOT_FOUND, "NotFound");
        assert_eq!(keyring().await, Keyring::default(), "it is gone");
        *lock(&says) = status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        assert_eq!(keyring().await, Keyring::default());
    }
}
