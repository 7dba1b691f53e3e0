//! Leader election with a Lease in the controller's namespace.
//!
//! Each write carries the `resourceVersion` that was read, so that of two candidates one gets a 409. Clocks of other nodes are
//! not trusted: the Lease of another holder expires when *we* have observed it unchanged for its whole duration, and our own
//! term ends some seconds earlier, measured from the start of the request that last renewed it.

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
    leader_election::leadership::{Addresses, Election, Leader, Term},
};

/// Duration of the Lease. This and the next two are the defaults of the Kubernetes components.
const DURATION: Duration = Duration::from_secs(15);

/// Renew deadline: a leader that cannot renew the Lease stops after this time. The rest of the duration is for writes in
/// flight.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// Interval of renewals by the holder.
const RENEW: Duration = Duration::from_secs(2);

/// Interval of reads by the others. It delays a failover.
const POLL: Duration = Duration::from_secs(1);

/// Timeout of a request. There is time for another within [`RENEW_WITHIN`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// The permissions that the role needs.
const RULE: &str = "add the verbs get, create and update on leases of coordination.k8s.io to the role of the controller";

/// The annotation of the Lease with its holder's address for hints.
const HINTS: &str = "kube-autorollout/hints";

/// The annotation of the Lease with its holder's address for the overview.
const STATUS: &str = "kube-autorollout/status";

/// The Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("forbidden: {RULE}")]
    Forbidden(#[source] kube::Error),
    #[error("the Lease was changed concurrently")]
    Conflict,
    #[error("the request failed")]
    Request(#[source] kube::Error),
    #[error("the request timed out")]
    Timeout,
}

/// A replica's participation in the election.
pub(crate) struct Candidate {
    api: Api<Lease>,
    /// Unique to this process.
    identity: String,
    election: Arc<Election>,
    /// The addresses of this replica while it leads.
    addresses: Addresses,
    /// Whether the start of the present term was logged.
    leading: bool,
    /// The Lease as we last wrote it. If it was changed since, the next write conflicts.
    held: Option<Lease>,
    /// The last Lease of another holder, and when we first observed it.
    observed: Option<(LeaseSpec, Instant)>,
    /// The last error, so that each outage is logged once.
    error: Option<String>,
}

impl Candidate {
    /// A candidate for the Lease in this namespace, named after its pod.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        pod: &str,
        addresses: Addresses,
        election: Arc<Election>,
    ) -> Self {
        // A restarted container has the same name; each `RandomState` has a random seed.
        let unique = RandomState::new().build_hasher().finish();
        Self {
            api: Api::namespaced(client, namespace),
            identity: format!("{pod}_{unique:016x}"),
            election,
            addresses,
            leading: false,
            held: None,
            observed: None,
            error: None,
        }
    }

    /// Runs for election until it is stopped, then releases the Lease.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = self.step().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = time::sleep(pause) => {}
            }
        }
        self.election.end();
        if self.leading
            && let Err(error) = self.release().await
        {
            warn!("cannot release the Lease: {}", Chain(&error));
        }
    }

    /// Acquires or renews the Lease; returns the time until the next attempt.
    async fn step(&mut self) -> Duration {
        let pause = match self.attempt().await {
            Ok(expiry) => {
                if self.error.take().is_some() {
                    info!("the Lease can be read and written again");
                }
                let until = |expiry: Instant| expiry.saturating_duration_since(Instant::now());
                expiry.map_or(RENEW, |expiry| POLL.min(until(expiry)))
            }
            Err(Error::Conflict) => Duration::ZERO, // read the new holder immediately
            Err(error) => {
                self.failed(&error);
                POLL
            }
        };
        let left = self.log_transition();
        left.map_or(pause, |left| pause.min(left))
    }

    /// Acquires or renews the Lease; if another replica holds it, returns its expiry.
    async fn attempt(&mut self) -> Result<Option<Instant>, Error> {
        let lease = self.read().await?;
        self.election.note_lease();
        if let Some(lease) = &lease
            && let Some(expiry) = self.expiry_of_other(lease, Instant::now())
        {
            self.election.end();
            self.election.note_leader(holder(lease));
            return Ok(Some(expiry));
        }
        let started = Instant::now();
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
        self.election.renew(Term {
            act_until: started + RENEW_WITHIN,
            end: started + DURATION,
        });
        Ok(None)
    }

    /// The expiry of the Lease, if another replica holds it.
    fn expiry_of_other(&mut self, lease: &Lease, now: Instant) -> Option<Instant> {
        let spec = lease.spec.as_ref()?;
        let holder = holder_identity(lease).unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            self.observed = None;
            return None;
        }
        let since = match &self.observed {
            Some((observed, since)) if observed == spec => *since,
            _ => {
                self.observed = Some((spec.clone(), now));
                now
            }
        };
        Some(since + DURATION).filter(|expires| now < *expires)
    }

    /// Logs the start and end of a term; returns the time until it expires.
    fn log_transition(&mut self) -> Option<Duration> {
        let term = self.election.term();
        match (self.leading, term) {
            (false, Some(_)) => info!(identity = self.identity, "became the leader"),
            (true, None) => warn!("lost leadership"),
            _ => {}
        }
        self.leading = term.is_some();
        term.map(|term| term.act_until.saturating_duration_since(Instant::now()))
    }

    /// Releases the Lease, so that another replica need not wait for its expiry. Retries once after a conflict.
    async fn release(&mut self) -> Result<(), Error> {
        match self.try_release().await {
            Err(Error::Conflict) => self.try_release().await,
            released => released,
        }
    }

    async fn try_release(&mut self) -> Result<(), Error> {
        let lease = self.read().await?;
        let is_ours = |lease: &Lease| holder_identity(lease) == Some(&*self.identity);
        let Some(mut lease) = lease.filter(is_ours) else {
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

    /// The Lease as we last wrote it, or else as the API server has it.
    async fn read(&mut self) -> Result<Option<Lease>, Error> {
        match self.held.take() {
            Some(lease) => Ok(Some(lease)),
            None => self.request(self.api.get_opt(constants::NAME)).await,
        }
    }

    /// Awaits a response, with a timeout that ends with the term.
    async fn request<T>(
        &self,
        response: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let left = self
            .election
            .term()
            .map(|term| term.act_until.saturating_duration_since(Instant::now()));
        let within = left.map_or(REQUEST_TIMEOUT, |left| left.min(REQUEST_TIMEOUT));
        match time::timeout(within, response).await {
            Ok(Ok(response)) => Ok(response),
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

/// The Lease with this replica as its holder.
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

/// The holder of a Lease and its addresses. Host names are not accepted.
fn holder(lease: &Lease) -> Option<Leader> {
    let identity = holder_identity(lease)?;
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

fn holder_identity(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(constants::NAME.to_owned()),
        ..PostParams::default()
    }
}

#[cfg(test)]
mod tests;
