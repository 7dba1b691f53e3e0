//! A token server that lets everybody in and can move to another address.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    locked::locked,
    relay::{self, Answer, Relay},
};

/// Gives out tokens for everything.
pub(super) struct Realm {
    tokens: Arc<Tokens>,
    place: RwLock<Place>,
}

/// Where it listens.
struct Place {
    host: String,
    _tasks: JoinSet<()>, // dropping it stops them
}

struct Tokens {
    lifetime: Duration,
    count: AtomicUsize,
    /// Until when each is good.
    good: Mutex<HashMap<String, Instant>>,
}

impl Realm {
    /// On a free port, with tokens that are good for so long.
    pub(super) async fn start(lifetime: Duration) -> io::Result<Self> {
        let tokens = Arc::new(Tokens {
            lifetime,
            count: AtomicUsize::new(1),
            good: Mutex::default(),
        });
        let place = RwLock::new(Place::take(&tokens).await?);
        Ok(Self { tokens, place })
    }

    /// To another port; nobody listens on the one before. Tokens stay good.
    pub(super) async fn relocate(&self) -> io::Result<()> {
        let place = Place::take(&self.tokens).await?;
        *self.place.write().unwrap_or_else(PoisonError::into_inner) = place;
        Ok(())
    }

    /// What is answered to a request about `repository` without a good token; nothing with one.
    pub(super) fn challenge(
        &self,
        headers: &HeaderMap,
        repository: &str,
    ) -> Option<Response<Full<bytes::Bytes>>> {
        let token = headers.get(AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token.is_some_and(|token| self.tokens.are_good(token)) {
            return None;
        }
        let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"testbed\",scope=\"repository:{repository}:pull\"",
            place.host
        );
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Some(response)
    }
}

impl Place {
    async fn take(tokens: &Arc<Tokens>) -> io::Result<Self> {
        let (host, tasks) = relay::listen(Arc::clone(tokens)).await?;
        Ok(Self {
            host,
            _tasks: tasks,
        })
    }
}

impl Tokens {
    fn are_good(&self, token: &str) -> bool {
        let good = locked(&self.good);
        good.get(token).is_some_and(|until| Instant::now() < *until)
    }
}

impl Relay for Tokens {
    async fn answer(&self, _request: Request<Incoming>) -> Answer {
        let token = format!("token-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let now = Instant::now();
        {
            let mut good = locked(&self.good);
            good.retain(|_, until| *until > now);
            good.insert(token.clone(), now + self.lifetime);
        }
        let answer = json!({ "token": token, "expires_in": self.lifetime.as_secs() });
        let mut response = Response::new(Full::from(answer.to_string()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}
