//! The cache of tokens: each is kept until shortly before it expires, unless a registry refuses it, and shared by all
//! requests that need the same one.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::token::{Token, TokenKey};
use crate::{
    cache::{ByteBounded, MAX_REPOSITORIES},
    error::Error,
    single_flight::SingleFlight,
};

/// The capacity for tokens, in bytes: enough for those of ten thousand repositories, and a quarter of the memory limit in
/// the chart.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Approximate cost of a cached token besides its text, in bytes.
const OVERHEAD: usize = 512;

/// How often expired tokens are evicted.
const SWEEP: Duration = Duration::from_secs(5 * 60);

/// One token for each repository and credential in use. All of them take at most [`MAX_BYTES`], however long they are and
/// however many a registry issues; beyond that, those that were not used for longest are evicted.
pub(crate) struct TokenCache {
    pub(crate) flights: SingleFlight<TokenKey, Error>,
    state: Mutex<State>,
}

struct State {
    tokens: ByteBounded<TokenKey, Token>,
    swept: Instant,
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        let state = State {
            tokens: ByteBounded::new(MAX_BYTES, cost),
            swept: Instant::now(),
        };
        Self {
            flights: SingleFlight::new(MAX_REPOSITORIES),
            state: Mutex::new(state),
        }
    }

    /// The token that these requests share.
    pub(crate) fn get(&self, key: &TokenKey) -> Option<Token> {
        let mut state = self.state.lock();
        if state.swept.elapsed() >= SWEEP {
            state.swept = Instant::now();
            state.tokens.retain(is_usable);
        }
        let token = state.tokens.get(key);
        token.filter(|token| is_usable(token)).cloned()
    }

    pub(crate) fn put(&self, token: Token) {
        self.state.lock().tokens.put(token.key, token);
    }

    /// Removes a token that a registry refused, unless another one has replaced it.
    pub(crate) fn forget(&self, refused: &Token) {
        let mut state = self.state.lock();
        let cached = state.tokens.get(&refused.key);
        if cached.is_some_and(|cached| cached.authorization == refused.authorization) {
            state.tokens.remove(&refused.key);
        }
    }
}

fn is_usable(token: &Token) -> bool {
    token.is_usable(Instant::now())
}

fn cost(token: &Token) -> usize {
    token.authorization.len().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scheme::Bearer;

    fn key(host: &str, number: usize) -> TokenKey {
        let bearer = Bearer {
            realm: format!("https://{host}/token").parse().expect("a URL"),
            service: None,
            scopes: Vec::new(),
        };
        TokenKey::new(&bearer, &[number.to_string()], None)
    }

    /// A token of this length, which expires in five minutes.
    fn token(key: TokenKey, length: usize) -> Token {
        let text = "t".repeat(length);
        let body = format!(r#"{{"token":"{text}","expires_in":300}}"#);
        Token::read(key, body.as_bytes(), Instant::now()).expect("a token")
    }

    #[test]
    fn tokens_of_ten_thousand_repositories_are_kept_when_used_in_turn() {
        let cache = TokenCache::new();
        for number in 0..10_000 {
            cache.put(token(key("auth.example", number), 2500));
        }
        let mut numbers = 0..10_000;
        assert!(numbers.all(|number| cache.get(&key("auth.example", number)).is_some()));
    }

    #[test]
    fn ever_new_tokens_of_one_registry_evict_no_token_in_use_of_another() {
        let cache = TokenCache::new();
        let good = key("auth.example", 0);
        cache.put(token(good, 2500));
        for number in 0..10_000 {
            cache.put(token(key("evil.example", number), 16 * 1024));
            assert!(cache.get(&good).is_some(), "{number}");
        }
        let kept = (0..10_000).filter(|number| cache.get(&key("evil.example", *number)).is_some());
        let bytes = kept.count() * 16 * 1024;
        assert!((MAX_BYTES / 10 * 9..MAX_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_refused_token_is_forgotten_unless_it_was_replaced() {
        let cache = TokenCache::new();
        let key = key("auth.example", 0);
        let refused = token(key, 1);
        cache.put(refused.clone());
        cache.put(token(key, 2));
        cache.forget(&refused);
        assert!(cache.get(&key).is_some(), "the new one");
        cache.put(refused.clone());
        cache.forget(&refused);
        assert!(cache.get(&key).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn expired_tokens_are_evicted() {
        let cache = TokenCache::new();
        for number in 0..200 {
            cache.put(token(key("auth.example", number), 1));
        }
        tokio::time::advance(SWEEP).await;
        cache.put(token(key("auth.example", 200), 1));
        assert!(cache.get(&key("auth.example", 0)).is_none());
        let left = std::cell::Cell::new(0);
        let mut state = cache.state.lock();
        state.tokens.retain(|_| {
            left.set(left.get() + 1);
            true
        });
        assert_eq!(left.get(), 1, "the new one");
    }
}
