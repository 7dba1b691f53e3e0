//! The token server of [`Access::Token`](super::Access::Token): in this process, over TLS, with a log of its own.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use http::{Method, Request, StatusCode, header::USER_AGENT};
use hyper::body::Incoming;
use parking_lot::Mutex;
use rcgen::KeyPair;
use ring::error::Unspecified;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::{
    query::Parameters,
    token::{Claims, SERVICE, Signer},
    users,
};
use crate::{
    certificates::Identity,
    clock::now,
    server::{self, Handler, Outcome, Server},
};

/// The prefix of repositories that need no login.
const PUBLIC: &str = "public/";

/// A request that the token server has responded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The user of the credential, whether it is valid or not; `None` for an anonymous request.
    pub user: Option<String>,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The status code of the response.
    pub status: u16,
    /// The client's `User-Agent`.
    pub user_agent: String,
}

/// A token server, until it is dropped.
///
/// A known user may do everything everywhere, an anonymous one may pull below `public/`, and nobody gets access to the
/// repositories of [`Issuer::forbid`]. As the specification says, a token is issued in any case, for the scopes that are
/// granted.
pub struct Issuer {
    state: Arc<State>,
    acceptor: TlsAcceptor,
    server: Mutex<Server>,
}

struct State {
    signer: Signer,
    rules: Mutex<Rules>,
    log: Mutex<Vec<TokenRequest>>,
}

struct Rules {
    lifetime: Duration,
    forbidden: BTreeSet<String>,
}

/// Why the token server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port was free.
    #[error("could not listen for token requests")]
    Listen(#[from] io::Error),
    /// The certificate was refused.
    #[error("could not use the token server's certificate")]
    Tls(#[from] rustls::Error),
    /// The signing key was refused.
    #[error("could not use the token server's signing key")]
    Key,
}

impl Issuer {
    /// Starts a server with tasks on the current runtime.
    pub(super) async fn start(identity: &Identity, key: &KeyPair) -> Result<Self, Error> {
        let signer = Signer::new(key).map_err(|_| Error::Key)?;
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_settings()?));
        let state = Arc::new(State {
            signer,
            rules: Mutex::new(Rules {
                lifetime: Duration::from_secs(300),
                forbidden: BTreeSet::new(),
            }),
            log: Mutex::new(Vec::new()),
        });
        let server = listen(&acceptor, &state).await?;
        Ok(Self {
            state,
            acceptor,
            server: Mutex::new(server),
        })
    }

    /// The URL that issues tokens.
    pub fn realm(&self) -> String {
        format!("https://{}/token", self.server.lock().host())
    }

    /// Moves to another port and closes the previous one.
    pub(super) async fn relocate(&self) -> io::Result<()> {
        let server = listen(&self.acceptor, &self.state).await?;
        *self.server.lock() = server;
        Ok(())
    }

    /// The lifetime of tokens that are issued from now on; 300 s at first. The registry itself adds a minute of leeway.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.state.rules.lock().lifetime = lifetime;
    }

    /// From now on grants nobody access to this repository.
    pub fn forbid(&self, repository: &str) {
        let mut rules = self.state.rules.lock();
        rules.forbidden.insert(repository.to_owned());
    }

    /// Reverts [`Issuer::forbid`].
    pub fn permit(&self, repository: &str) {
        self.state.rules.lock().forbidden.remove(repository);
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.state.log.lock().clone()
    }
}

async fn listen(acceptor: &TlsAcceptor, state: &Arc<State>) -> io::Result<Server> {
    let (acceptor, state) = (acceptor.clone(), Arc::clone(state));
    Server::accept(move |stream| {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        async move {
            // An error is that of a client that does not trust our authority, as some tests want
            if let Ok(stream) = acceptor.accept(stream).await {
                server::serve(stream, &*state).await;
            }
        }
    })
    .await
}

impl Handler for State {
    async fn respond(&self, request: Request<Incoming>) -> Outcome {
        let parameters = Parameters::read(request.uri().query().unwrap_or_default());
        let login = server::basic_login(request.headers());
        let (status, body) = if request.method() != Method::GET || request.uri().path() != "/token"
        {
            (StatusCode::NOT_FOUND, Value::Null)
        } else {
            self.token(&parameters, login.as_ref())
        };
        self.log.lock().push(TokenRequest {
            user: login.map(|(name, _)| name),
            scopes: parameters.scopes,
            status: status.as_u16(),
            user_agent: server::header(request.headers(), USER_AGENT).to_owned(),
        });
        Ok(server::json(status, &body))
    }
}

impl State {
    fn token(
        &self,
        parameters: &Parameters,
        login: Option<&(String, String)>,
    ) -> (StatusCode, Value) {
        let known = login.and_then(|(name, password)| users::find(name, password));
        if login.is_some() && known.is_none() || parameters.service != SERVICE {
            return (StatusCode::UNAUTHORIZED, error("UNAUTHORIZED"));
        }
        let number = self.log.lock().len() as u64;
        let (access, lifetime) = {
            let rules = self.rules.lock();
            let scopes = parameters.scopes.iter();
            let granted = scopes.filter_map(|scope| rules.grant(scope, known.is_some()));
            (granted.collect(), rules.lifetime)
        };
        let claims = Claims {
            subject: known.map_or_else(String::new, |user| user.name.to_owned()),
            access,
            issued: now(),
            lifetime,
            number,
        };
        match self.signer.sign(&claims) {
            Ok(token) => {
                let body = json!({
                    "token": token,
                    "expires_in": lifetime.as_secs(),
                    "issued_at": claims.issued.to_string(),
                });
                (StatusCode::OK, body)
            }
            Err(Unspecified) => (StatusCode::INTERNAL_SERVER_ERROR, error("UNKNOWN")),
        }
    }
}

impl Rules {
    /// The access that is granted for a scope `repository:<name>:<actions>`.
    fn grant(&self, scope: &str, known: bool) -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        if self.forbidden.contains(name) {
            return None;
        }
        let allowed = |action: &&str| known || (*action == "pull" && name.starts_with(PUBLIC));
        let actions: Vec<&str> = actions.split(',').filter(allowed).collect();
        (!actions.is_empty()).then(|| json!({"type": kind, "name": name, "actions": actions}))
    }
}

fn error(code: &str) -> Value {
    json!({"errors": [{"code": code}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anonymous_client_pulls_what_is_public_and_nobody_what_is_forbidden() {
        let rules = Rules {
            lifetime: Duration::ZERO,
            forbidden: BTreeSet::from(["secret".to_owned()]),
        };
        let granted = |scope, known| {
            rules
                .grant(scope, known)
                .map(|access| access["actions"].clone())
        };
        assert_eq!(
            granted("repository:public/a:pull,push", false),
            Some(json!(["pull"]))
        );
        assert_eq!(granted("repository:a:pull", false), None);
        assert_eq!(
            granted("repository:a:pull,push", true),
            Some(json!(["pull", "push"]))
        );
        assert_eq!(granted("repository:secret:pull", true), None);
    }
}
