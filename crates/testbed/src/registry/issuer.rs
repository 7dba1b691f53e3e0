//! The token server of [`Access::Token`](super::Access::Token): in this process, over TLS, with a log of its own.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    query::{Parameters, login, text},
    token::{Claims, SERVICE, SignError, Signer},
    users,
};
use crate::{
    certificates::{Identity, SigningKey},
    clock::now,
    locked::locked,
};

/// The prefix of repositories that need no login.
const PUBLIC: &str = "public/";

/// A request that the token server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The user that was presented, be the password right or wrong; `None` for an anonymous request.
    pub user: Option<String>,
    /// The scopes that were asked for.
    pub scopes: Vec<String>,
    /// The status code of the answer.
    pub status: u16,
    /// The client's `User-Agent`.
    pub user_agent: String,
}

/// A token server; it ends on drop.
///
/// A known user may do everything everywhere, an anonymous one may pull below `public/`, and what
/// [`Issuer::forbid`] names is granted to nobody. As the specification has it, a token is issued all the same, for what
/// is left of the request.
pub struct Issuer {
    state: Arc<State>,
    acceptor: TlsAcceptor,
    place: Mutex<Place>,
}

/// Where it listens.
struct Place {
    realm: String,
    _server: JoinSet<()>, // dropping it stops it
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
    /// No port was to be had.
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
    pub(super) async fn start(identity: &Identity, key: &SigningKey) -> Result<Self, Error> {
        let signer = Signer::new(key).map_err(|SignError| Error::Key)?;
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_settings()?));
        let state = Arc::new(State {
            signer,
            rules: Mutex::new(Rules {
                lifetime: Duration::from_secs(300),
                forbidden: BTreeSet::new(),
            }),
            log: Mutex::new(Vec::new()),
        });
        let place = Place::take(&acceptor, &state).await?;
        Ok(Self {
            state,
            acceptor,
            place: Mutex::new(place),
        })
    }

    /// The URL at which tokens are had.
    pub fn realm(&self) -> String {
        locked(&self.place).realm.clone()
    }

    /// Goes on at another port; nobody listens on the one before.
    pub(super) async fn relocate(&self) -> io::Result<()> {
        let place = Place::take(&self.acceptor, &self.state).await?;
        *locked(&self.place) = place;
        Ok(())
    }

    /// How long tokens issued from now on are good for; 300 s at first. The registry itself adds a minute of leeway.
    pub fn set_lifetime(&self, lifetime: Duration) {
        locked(&self.state.rules).lifetime = lifetime;
    }

    /// Grants nothing for this repository any more, to nobody.
    pub fn forbid(&self, repository: &str) {
        let mut rules = locked(&self.state.rules);
        rules.forbidden.insert(repository.to_owned());
    }

    /// Takes [`Issuer::forbid`] back.
    pub fn permit(&self, repository: &str) {
        locked(&self.state.rules).forbidden.remove(repository);
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<TokenRequest> {
        locked(&self.state.log).clone()
    }
}

impl Place {
    async fn take(acceptor: &TlsAcceptor, state: &Arc<State>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let realm = format!("https://{}/token", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, acceptor.clone(), Arc::clone(state)));
        Ok(Self {
            realm,
            _server: server,
        })
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        // An error of `accept` is that of one connection
        if let Ok((stream, _)) = listener.accept().await {
            let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return; // a client that does not trust our authority, as some tests want
                };
                let service = service_fn(|request| {
                    let answer = state.answer(&request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                drop(connection.await); // the client's end of the matter
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

impl State {
    fn answer<B>(&self, request: &http::Request<B>) -> Response<Full<Bytes>> {
        let parameters = Parameters::read(request.uri().query().unwrap_or_default());
        let login = login(request.headers());
        let (status, body) = if request.method() != Method::GET || request.uri().path() != "/token"
        {
            (StatusCode::NOT_FOUND, Value::Null)
        } else {
            self.token(&parameters, login.as_ref())
        };
        locked(&self.log).push(TokenRequest {
            user: login.map(|(name, _)| name),
            scopes: parameters.scopes,
            status: status.as_u16(),
            user_agent: text(request.headers(), header::USER_AGENT).to_owned(),
        });
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    fn token(
        &self,
        parameters: &Parameters,
        login: Option<&(String, String)>,
    ) -> (StatusCode, Value) {
        let known = login.and_then(|(name, password)| users::find(name, password));
        if login.is_some() && known.is_none() || parameters.service != SERVICE {
            return (StatusCode::UNAUTHORIZED, error("UNAUTHORIZED"));
        }
        let number = locked(&self.log).len() as u64;
        let (access, lifetime) = {
            let rules = locked(&self.rules);
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
            Err(SignError) => (StatusCode::INTERNAL_SERVER_ERROR, error("UNKNOWN")),
        }
    }
}

impl Rules {
    /// What of a scope `repository:<name>:<actions>` is granted.
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
