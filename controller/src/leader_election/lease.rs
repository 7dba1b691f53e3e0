//! Takes part in the election of a leader, by a Lease in the controller's own namespace.
//!
//! Each write carries the `resourceVersion` of what was read, so of two that want the Lease one gets a 409. Clocks of
//! other nodes are not trusted: another's Lease has expired when *we* have seen it unchanged for its whole duration, and
//! our own ends some seconds earlier, counted from the start of the request that renewed it last.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock, constants,
    error_chain::Chain,
    leader_election::leadership::{Addresses, Elected, Leader, Term},
};

/// How long a Lease that its holder does not renew keeps others from leading. This and the next two are the defaults of
/// Kubernetes's own components.
const DURATION: Duration = Duration::from_secs(15);

/// How long a leader that cannot renew its Lease goes on. The rest of the duration is for what it has begun.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How often the holder renews the Lease.
const RENEW: Duration = Duration::from_secs(2);

/// How often the others read it: what they see late they take over late.
const POLL: Duration = Duration::from_secs(1);

/// After which a request counts as lost: there is time for another in [`RENEW_WITHIN`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// What the role needs.
const RULE: &str = "add the verbs get, create and update on leases of coordination.k8s.io to the role of the controller";

/// The annotation of the Lease that has the address where its holder takes hints.
const HINTS: &str = "kube-autorollout/hints";

/// The annotation of the Lease that has the address where its holder says how the workloads stand.
const STATUS: &str = "kube-autorollout/status";

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("forbidden: {RULE}")]
    Forbidden(#[source] kube::Error),
    #[error("the Lease was changed meanwhile")]
    Conflict,
    #[error("the request failed")]
    Request(#[source] kube::Error),
    #[error("the request timed out")]
    Timeout,
}

/// One replica's part in the election.
pub(crate) struct Candidate {
    api: Api<Lease>,
    /// Ours, and no other replica's.
    identity: String,
    elected: Arc<Elected>,
    /// Where others reach this replica while it leads.
    addresses: Addresses,
    /// Between its beginning and its end, noticed by us.
    leading: bool,
    /// As we wrote it last, if nobody else can have written it since without a conflict.
    held: Option<Lease>,
    /// What another holder wrote last, and when we saw it first.
    seen: Option<(LeaseSpec, Instant)>,
    /// The last error, so that an outage is one line in the log.
    error: Option<String>,
}

impl Candidate {
    /// A candidate for the Lease in this namespace, called after its pod.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        pod: &str,
        addresses: Addresses,
        elected: Arc<Elected>,
    ) -> Self {
        // A restarted container has the name of the one before; each `RandomState` is seeded at random.
        let unique = RandomState::new().build_hasher().finish();
        Self {
            api: Api::namespaced(client, namespace),
            identity: format!("{pod}_{unique:016x}"),
            elected,
            addresses,
            leading: false,
            held: None,
            seen: None,
            error: None,
        }
    }

    /// Takes part until it is asked to stop, and releases the Lease then.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = self.step().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = time::sleep(pause) => {}
            }
        }
        self.elected.end();
        if self.leading
            && let Err(error) = self.release().await
        {
            warn!("cannot release the Lease: {}", Chain(&error));
        }
    }

    /// Renews the Lease or tries to get it; says when to do so again.
    async fn step(&mut self) -> Duration {
        let attempted = self.attempt().await;
        let pause = match &attempted {
            Ok(Some(expires)) => POLL.min(expires.saturating_duration_since(Instant::now())),
            Ok(None) => RENEW,
            Err(Error::Conflict) => Duration::ZERO, // who won shows at once
            Err(_) => POLL,
        };
        match attempted {
            Ok(_) => {
                if self.error.take().is_some() {
                    info!("the Lease can be read and written again");
                }
            }
            Err(Error::Conflict) => {}
            Err(error) => self.failed(&error),
        }
        let left = self.notice();
        left.map_or(pause, |left| pause.min(left))
    }

    /// Gets or renews the Lease; when it is another's, returns until when.
    async fn attempt(&mut self) -> Result<Option<Instant>, Error> {
        let lease = match self.held.take() {
            Some(lease) => Some(lease),
            None => self.request(self.api.get_opt(constants::NAME)).await?,
        };
        self.elected.note_lease();
        if let Some(lease) = &lease
            && let Some(expires) = self.of_another(lease, Instant::now())
        {
            self.elected.end();
            self.elected.note_leader(holder(lease));
            return Ok(Some(expires));
        }
        let begun = Instant::now();
        let claimed = claimed(lease.clone(), &self.identity, self.addresses);
        let parameters = parameters();
        let written = match lease {
            Some(_) => {
                let replaced = self.api.replace(constants::NAME, &parameters, &claimed);
                self.request(replaced).await?
            }
            None => self.request(self.api.create(&parameters, &claimed)).await?,
        };
        self.held = Some(written);
        self.elected.renew(Term {
            act_until: begun + RENEW_WITHIN,
            end: begun + DURATION,
        });
        Ok(None)
    }

    /// Until when the Lease is another's, if it is.
    fn of_another(&mut self, lease: &Lease, now: Instant) -> Option<Instant> {
        let spec = lease.spec.as_ref()?;
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            self.seen = None;
            return None;
        }
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        Some(since + DURATION).filter(|expires| now < *expires)
    }

    /// Logs what has become of our leadership; returns how long it lasts without another renewal.
    fn notice(&mut self) -> Option<Duration> {
        let term = self.elected.term();
        match (self.leading, term) {
            (false, Some(_)) => info!(identity = self.identity, "leading"),
            (true, None) => warn!("lost leadership"),
            _ => {}
        }
        self.leading = term.is_some();
        term.map(|term| term.act_until.saturating_duration_since(Instant::now()))
    }

    /// Releases the Lease, so that another replica need not wait until it expires. Who has changed it meanwhile, a person
    /// say, keeps us from that no more than once.
    async fn release(&mut self) -> Result<(), Error> {
        match self.try_release().await {
            Err(Error::Conflict) => self.try_release().await,
            released => released,
        }
    }

    async fn try_release(&mut self) -> Result<(), Error> {
        let lease = match self.held.take() {
            Some(lease) => Some(lease),
            None => self.request(self.api.get_opt(constants::NAME)).await?,
        };
        let ours = |lease: &Lease| {
            let holder = lease.spec.as_ref()?.holder_identity.as_deref();
            holder.map(|holder| holder == self.identity)
        };
        let Some(mut lease) = lease.filter(|lease| ours(lease) == Some(true)) else {
            return Ok(());
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(clock::now()));
        }
        self.request(self.api.replace(constants::NAME, &parameters(), &lease))
            .await?;
        info!("released the Lease");
        Ok(())
    }

    /// Waits for an answer, but not longer than what we have may last.
    async fn request<T>(
        &self,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let left = self
            .elected
            .term()
            .map(|term| term.act_until.saturating_duration_since(Instant::now()));
        let within = left.map_or(REQUEST_TIMEOUT, |left| left.min(REQUEST_TIMEOUT));
        match time::timeout(within, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match &error {
                kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
                    Error::Conflict
                }
                kube::Error::Api(status) if status.is_forbidden() => Error::Forbidden(error),
                _ => Error::Request(error),
            }),
            Err(_) => Err(Error::Timeout),
        }
    }

    fn failed(&mut self, error: &Error) {
        let text = error.to_string();
        if self.error.as_ref() != Some(&text) {
            warn!("cannot hold the Lease: {}", Chain(error));
            self.error = Some(text);
        }
    }
}

/// The Lease with ourselves as its holder.
fn claimed(lease: Option<Lease>, identity: &str, addresses: Addresses) -> Lease {
    let now = MicroTime(clock::now());
    let mut lease = lease.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(constants::NAME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let annotations = lease.metadata.annotations.get_or_insert_default();
    for (key, address) in [(HINTS, addresses.hints), (STATUS, addresses.overview)] {
        match address {
            Some(address) => annotations.insert(key.to_owned(), address.to_string()),
            None => annotations.remove(key),
        };
    }
    let new = lease.spec.is_none();
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(identity) {
        spec.holder_identity = Some(identity.to_owned());
        spec.acquire_time = Some(now.clone());
        let before = spec.lease_transitions.unwrap_or_default();
        spec.lease_transitions = Some(if new { 0 } else { before.saturating_add(1) });
    }
    spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
    spec.renew_time = Some(now);
    lease
}

/// The holder of a Lease, and where it is reached, if it says so: at an address, never at a name that somebody resolves.
fn holder(lease: &Lease) -> Option<Leader> {
    let identity = lease.spec.as_ref()?.holder_identity.as_deref()?;
    let name = identity.rsplit_once('_').map_or(identity, |(pod, _)| pod);
    let annotations = lease.metadata.annotations.as_ref();
    let address = |key: &str| -> Option<SocketAddr> { annotations?.get(key)?.parse().ok() };
    Some(Leader {
        name: name.to_owned(),
        addresses: Addresses {
            hints: address(HINTS),
            overview: address(STATUS),
        },
    })
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(constants::NAME.to_owned()),
        ..PostParams::default()
    }
}

#[cfg(test)]
mod tests;
