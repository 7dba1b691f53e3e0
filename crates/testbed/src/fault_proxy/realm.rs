//! A token server that issues tokens to everybody and can move to another port.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::server::{self, Handler, Outcome, Server};

/// Issues tokens for every scope.
pub(super) struct Realm {
    tokens: Arc<Tokens>,
    server: Mutex<Server>,
}

struct Tokens {
    lifetime: Duration,
    count: AtomicUsize,
    /// When each expires.
    expiries: Mutex<HashMap<String, Instant>>,
}

impl Realm {
    /// Listens on a free port and issues tokens with this lifetime.
    pub(super) async fn start(lifetime: Duration) -> io::Result<Self> {
        let tokens = Arc::new(Tokens {
            lifetime,
            count: AtomicUsize::new(1),
            expiries: Mutex::default(),
        });
        let server = Mutex::new(Server::http(Arc::clone(&tokens)).await?);
        Ok(Self { tokens, server })
    }

    /// Moves to another port and closes the previous one. Tokens stay valid.
    pub(super) async fn relocate(&self) -> io::Result<()> {
        let server = Server::http(Arc::clone(&self.tokens)).await?;
        *self.server.lock() = server;
        Ok(())
    }

    /// The response to a request for `repository` without a valid token; nothing with one.
    pub(super) fn challenge(
        &self,
        headers: &HeaderMap,
        repository: &str,
    ) -> Option<Response<Full<bytes::Bytes>>> {
        let token = server::header(headers, AUTHORIZATION).strip_prefix("Bearer ");
        if token.is_some_and(|token| self.tokens.is_valid(token)) {
            return None;
        }
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"testbed\",scope=\"repository:{repository}:pull\"",
            self.server.lock().host()
        );
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Some(response)
    }
}

impl Tokens {
    fn is_valid(&self, token: &str) -> bool {
        let expiries = self.expiries.lock();
        let expiry = expiries.get(token);
        expiry.is_some_and(|expiry| Instant::now() < *expiry)
    }
}

impl Handler for Tokens {
    async fn respond(&self, _request: Request<Incoming>) -> Outcome {
        let token = format!("token-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let now = Instant::now();
        {
            let mut expiries = self.expiries.lock();
            expiries.retain(|_, expiry| *expiry > now);
            expiries.insert(token.clone(), now + self.lifetime);
        }
        let body = json!({ "token": token, "expires_in": self.lifetime.as_secs() });
        Ok(server::json(StatusCode::OK, &body))
    }
}
