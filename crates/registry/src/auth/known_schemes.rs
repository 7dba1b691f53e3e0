//! How a host wants to be authenticated to, as it said last. Everything here ends: a registry may change its mind.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use tokio::time::Instant;

use super::scheme::{AuthScheme, Bearer};
use crate::{
    cache::{MAX_REPOSITORIES, bounded},
    origin::Origin,
};

/// Repositories on other registries that are remembered.
const MAX_ONWARD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// For how long a challenge is remembered.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// What one host has said.
pub(crate) struct KnownSchemes {
    /// The scheme of one repository is that of all others without one of their own.
    default: Option<Kept<Arc<AuthScheme>>>,
    /// Some registries have a realm for each group of repositories.
    repositories: LruCache<String, Kept<Arc<AuthScheme>>>,
    /// When its base was asked and had no challenge.
    base_without_challenge: Option<Instant>,
    onward: LruCache<String, Kept<Arc<Onward>>>,
}

/// Where a repository is that a registry redirects to, and how to get a token there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Onward {
    pub(crate) origin: Origin,
    pub(crate) bearer: Bearer,
    /// Of the token, exactly as they were asked for.
    pub(crate) scopes: Vec<String>,
}

struct Kept<T> {
    value: T,
    since: Instant,
}

impl<T: Clone> Kept<T> {
    fn new(value: T) -> Self {
        let since = Instant::now();
        Self { value, since }
    }

    fn get(&self) -> Option<T> {
        (self.since.elapsed() < LIFE).then(|| self.value.clone())
    }
}

impl KnownSchemes {
    /// How to authenticate for a repository, as far as is known.
    pub(crate) fn get(&mut self, repository: &str) -> Option<Arc<AuthScheme>> {
        let own = self.repositories.get(repository).and_then(Kept::get);
        own.or_else(|| self.for_all())
    }

    /// Keeps what the host says for a repository.
    pub(crate) fn learn(&mut self, repository: &str, scheme: &Arc<AuthScheme>) {
        let default = self.for_all().unwrap_or_else(|| {
            let default = Arc::new(scheme.without_scopes());
            self.default = Some(Kept::new(Arc::clone(&default)));
            default
        });
        if default == *scheme {
            self.repositories.pop(repository);
        } else {
            let kept = Kept::new(Arc::clone(scheme));
            self.repositories.put(repository.to_owned(), kept);
        }
    }

    /// Forgets a scheme that does not work: for the repository, and for all others that would be asked in the same way.
    pub(crate) fn forget(&mut self, repository: &str, failed: &AuthScheme) {
        // Somebody else may have learnt better meanwhile.
        let own = self.repositories.peek(repository);
        if own.is_some_and(|own| *own.value == *failed) {
            self.repositories.pop(repository);
        }
        let default = self.default.as_ref();
        if default.is_some_and(|default| *default.value == failed.without_scopes()) {
            self.default = None;
        }
    }

    /// Whether the host's base was asked lately and had no challenge.
    pub(crate) fn is_base_without_challenge(&self) -> bool {
        self.base_without_challenge
            .is_some_and(|since| since.elapsed() < LIFE)
    }

    /// The host's base has no challenge.
    pub(crate) fn learn_base_without_challenge(&mut self) {
        self.base_without_challenge = Some(Instant::now());
    }

    /// Where the host is known to redirect to for a repository.
    pub(crate) fn onward(&mut self, repository: &str) -> Option<Arc<Onward>> {
        self.onward.get(repository).and_then(Kept::get)
    }

    /// The host redirects to there for a repository.
    pub(crate) fn learn_onward(&mut self, repository: &str, onward: Onward) {
        let kept = Kept::new(Arc::new(onward));
        self.onward.put(repository.to_owned(), kept);
    }

    /// The host redirects to elsewhere, or its token does not help there.
    pub(crate) fn forget_onward(&mut self, repository: &str) {
        self.onward.pop(repository);
    }

    fn for_all(&self) -> Option<Arc<AuthScheme>> {
        self.default.as_ref().and_then(Kept::get)
    }
}

impl Default for KnownSchemes {
    fn default() -> Self {
        Self {
            default: None,
            repositories: bounded(MAX_REPOSITORIES),
            base_without_challenge: None,
            onward: bounded(MAX_ONWARD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_word_for_ten_thousand_repositories_ends_after_an_hour() {
        let mut schemes = KnownSchemes::default();
        let bearer = |number: usize| {
            let realm = format!("https://auth.example/{number}");
            Arc::new(AuthScheme::Bearer(Bearer {
                realm: realm.parse().expect("an address"),
                service: None,
                scopes: Vec::new(),
            }))
        };
        let name = |number: usize| format!("app{number}");
        for number in 0..10_000 {
            schemes.learn(&name(number), &bearer(number));
        }
        for number in 0..10_000 {
            assert_eq!(schemes.get(&name(number)), Some(bearer(number)));
        }
        assert_eq!(schemes.get("new"), Some(bearer(0)), "the first word");
        tokio::time::advance(LIFE).await;
        assert_eq!((schemes.get(&name(7)), schemes.get("new")), (None, None));
    }

    #[test]
    fn only_the_scheme_that_failed_is_forgotten() {
        let mut schemes = KnownSchemes::default();
        let basic = Arc::new(AuthScheme::Basic);
        schemes.learn("a", &basic);
        let bearer = AuthScheme::Bearer(Bearer {
            realm: "https://auth.example/".parse().expect("an address"),
            service: None,
            scopes: Vec::new(),
        });
        schemes.forget("a", &bearer);
        assert_eq!(schemes.get("a"), Some(Arc::clone(&basic)), "another");
        schemes.forget("b", &AuthScheme::Basic);
        assert_eq!(schemes.get("a"), None, "nor is anybody else asked so");
        let bearer = Arc::new(bearer);
        schemes.learn("b", &bearer);
        assert_eq!(
            schemes.get("a"),
            Some(bearer),
            "the next word counts for all"
        );
    }
}
