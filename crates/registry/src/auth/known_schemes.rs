//! The authentication schemes that one host asked for. All entries expire: a registry may change its mind.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;

use super::scheme::{AuthScheme, Bearer};
use crate::{
    cache::{Expiring, MAX_REPOSITORIES, bounded},
    origin::Origin,
};

/// Redirects to other registries that are remembered.
const MAX_REDIRECTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// How long a challenge is remembered.
const TTL: Duration = Duration::from_secs(60 * 60);

/// The schemes of one host.
pub(crate) struct KnownSchemes {
    /// The scheme of repositories without an entry of their own: the first that the host asked for.
    default: Option<Expiring<AuthScheme>>,
    /// Some registries have a realm for each group of repositories.
    repositories: LruCache<String, Expiring<AuthScheme>>,
    /// The base was requested and had no challenge.
    base_without_challenge: Option<Expiring<()>>,
    redirects: LruCache<String, Expiring<Arc<RedirectTarget>>>,
}

/// The registry that another one redirects a repository to, and how to get a token there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RedirectTarget {
    pub(crate) origin: Origin,
    pub(crate) bearer: Arc<Bearer>,
    /// The scopes that the token was requested with.
    pub(crate) scopes: Vec<String>,
}

impl KnownSchemes {
    /// The scheme for a repository, if known.
    pub(crate) fn get(&mut self, repository: &str) -> Option<AuthScheme> {
        let own = self.repositories.get(repository).and_then(Expiring::get);
        own.cloned().or_else(|| self.default_scheme())
    }

    /// Remembers the scheme that the host asked for.
    pub(crate) fn put(&mut self, repository: &str, scheme: AuthScheme) {
        let default = self.default_scheme().unwrap_or_else(|| {
            let default = scheme.without_scopes();
            self.default = Some(Expiring::new(default.clone(), TTL));
            default
        });
        if default == scheme {
            self.repositories.pop(repository);
        } else {
            let entry = Expiring::new(scheme, TTL);
            self.repositories.put(repository.to_owned(), entry);
        }
    }

    /// Forgets a scheme that does not work: for the repository, and for all that share it. Another caller may have replaced
    /// it meanwhile.
    pub(crate) fn forget(&mut self, repository: &str, failed: &AuthScheme) {
        let own = self.repositories.peek(repository).and_then(Expiring::get);
        if own == Some(failed) {
            self.repositories.pop(repository);
        }
        if self.default_scheme() == Some(failed.without_scopes()) {
            self.default = None;
        }
    }

    /// Whether the host's base is known to have no challenge.
    pub(crate) fn is_base_without_challenge(&self) -> bool {
        self.base_without_challenge
            .as_ref()
            .is_some_and(|entry| entry.get().is_some())
    }

    pub(crate) fn put_base_without_challenge(&mut self) {
        self.base_without_challenge = Some(Expiring::new((), TTL));
    }

    /// The registry that the host redirects a repository to, if known.
    pub(crate) fn redirect(&mut self, repository: &str) -> Option<Arc<RedirectTarget>> {
        let entry = self.redirects.get(repository);
        entry.and_then(Expiring::get).cloned()
    }

    pub(crate) fn put_redirect(&mut self, repository: &str, target: RedirectTarget) {
        let entry = Expiring::new(Arc::new(target), TTL);
        self.redirects.put(repository.to_owned(), entry);
    }

    /// Forgets a redirect target whose token server fails.
    pub(crate) fn forget_redirect(&mut self, repository: &str) {
        self.redirects.pop(repository);
    }

    fn default_scheme(&self) -> Option<AuthScheme> {
        self.default.as_ref().and_then(Expiring::get).cloned()
    }
}

impl Default for KnownSchemes {
    fn default() -> Self {
        Self {
            default: None,
            repositories: bounded(MAX_REPOSITORIES),
            base_without_challenge: None,
            redirects: bounded(MAX_REDIRECTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(number: usize) -> AuthScheme {
        let realm = format!("https://auth.example/{number}");
        AuthScheme::Bearer(Arc::new(Bearer {
            realm: realm.parse().expect("a URL"),
            service: None,
            scopes: Vec::new(),
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn schemes_of_ten_thousand_repositories_expire_after_an_hour() {
        let mut schemes = KnownSchemes::default();
        let name = |number: usize| format!("app{number}");
        for number in 0..10_000 {
            schemes.put(&name(number), bearer(number));
        }
        for number in 0..10_000 {
            assert_eq!(schemes.get(&name(number)), Some(bearer(number)));
        }
        assert_eq!(schemes.get("new"), Some(bearer(0)), "the first scheme");
        tokio::time::advance(TTL).await;
        assert_eq!((schemes.get(&name(7)), schemes.get("new")), (None, None));
    }

    #[test]
    fn only_the_scheme_that_failed_is_forgotten() {
        let mut schemes = KnownSchemes::default();
        schemes.put("a", AuthScheme::Basic);
        schemes.forget("a", &bearer(0));
        assert_eq!(schemes.get("a"), Some(AuthScheme::Basic), "another scheme");
        schemes.forget("b", &AuthScheme::Basic);
        assert_eq!(schemes.get("a"), None, "the default is forgotten");
        schemes.put("b", bearer(0));
        assert_eq!(schemes.get("a"), Some(bearer(0)), "the new default");
    }
}
