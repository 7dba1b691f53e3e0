//! How one host wants to be asked, learnt from its answers, so that most questions are one request.

use std::{num::NonZeroUsize, time::Duration};

use http::HeaderValue;
use lru::LruCache;
use oci_spec::image::Digest;
use tokio::time::Instant;

use crate::{
    artifactory::Layouts,
    bounded::{MAX_REPOSITORIES, bounded},
    credential::Fingerprint,
    head_support::HeadSupport,
    schemes::Schemes,
};

/// Repositories that let somebody in; what is asked next follows within seconds.
const MAX_LET_IN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// For how long a credential that a repository let in is taken to be good for it when it is refused (401), and when it is
/// accepted and may not read (403). The tags of workloads with a daily schedule are asked for once a day.
const LET_IN: (Duration, Duration) = (
    Duration::from_secs(10 * 60),
    Duration::from_secs(25 * 60 * 60),
);

/// For how long the credential that a repository let in goes before those that come before it by rule.
const PREFERRED: Duration = Duration::from_secs(60 * 60);

/// What was learnt of one host.
pub(crate) struct Memory {
    pub(crate) schemes: Schemes,
    pub(crate) heads: HeadSupport,
    pub(crate) layouts: Layouts,
    known: LruCache<String, Known>,
    let_in: LruCache<(String, Option<Fingerprint>), Instant>,
    preferred: LruCache<(String, Fingerprint), (Fingerprint, Instant)>,
}

/// A manifest that was read because HEAD does not tell its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
}

impl Known {
    /// For `If-None-Match`: distribution's entity tag is the digest in quotes. Where it is not, the manifest comes again.
    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.digest)).ok()
    }
}

impl Memory {
    /// What was read at a path.
    pub(crate) fn known(&mut self, path: &str) -> Option<Known> {
        self.known.get(path).cloned()
    }

    /// A manifest was read at a path.
    pub(crate) fn learn_known(&mut self, path: &str, known: Known) {
        self.known.put(path.to_owned(), known);
    }

    /// A repository has let a credential in, or anybody.
    pub(crate) fn learn_let_in(&mut self, repository: &str, credential: Option<Fingerprint>) {
        let key = (repository.to_owned(), credential);
        self.let_in.put(key, Instant::now());
    }

    /// A repository does not let a credential in any more.
    pub(crate) fn forget_let_in(&mut self, repository: &str, credential: Option<Fingerprint>) {
        self.let_in.pop(&(repository.to_owned(), credential));
    }

    /// Whether a repository has let the credential in lately. `refused`: what it answers now is 401.
    pub(crate) fn is_let_in(
        &self,
        repository: &str,
        credential: Option<Fingerprint>,
        refused: bool,
    ) -> bool {
        let key = (repository.to_owned(), credential);
        let limit = if refused { LET_IN.0 } else { LET_IN.1 };
        let since = self.let_in.peek(&key);
        since.is_some_and(|since| since.elapsed() < limit)
    }

    /// Of a list of credentials, the one that a repository has let in.
    pub(crate) fn preferred(&mut self, repository: &str, list: Fingerprint) -> Option<Fingerprint> {
        let key = (repository.to_owned(), list);
        let (preferred, since) = self.preferred.get(&key)?;
        (since.elapsed() < PREFERRED).then_some(*preferred)
    }

    /// The order of the list is right for a repository.
    pub(crate) fn prefer_none(&mut self, repository: &str, list: Fingerprint) {
        if !self.preferred.is_empty() {
            self.preferred.pop(&(repository.to_owned(), list));
        }
    }

    /// A repository has let in one of a list of credentials, which is not the first.
    pub(crate) fn prefer(&mut self, repository: &str, list: Fingerprint, credential: Fingerprint) {
        let key = (repository.to_owned(), list);
        let renewed = self.preferred.peek(&key);
        if renewed.is_some_and(|(known, since)| *known == credential && since.elapsed() < PREFERRED)
        {
            return; // so that the rule is tried again at times
        }
        self.preferred.put(key, (credential, Instant::now()));
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            schemes: Schemes::default(),
            heads: HeadSupport::default(),
            layouts: Layouts::default(),
            known: bounded(MAX_REPOSITORIES),
            let_in: bounded(MAX_LET_IN),
            preferred: bounded(MAX_REPOSITORIES),
        }
    }
}
