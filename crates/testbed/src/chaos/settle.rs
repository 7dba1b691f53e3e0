//! Waiting until everything has settled.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    error::Error,
    history::History,
    judge::{self, Finding},
    world::World,
};
use crate::{clock::now, workload::eventually};

/// How long the pods of each hundred workloads may take to start, also on a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(120);

/// How long everything may take to settle after the last fault: a lease and some backoffs of Kubernetes's own
/// components, and then all that was put off.
const REST_WITHIN: Duration = Duration::from_secs(240);

/// How long the controller may take for two checks of every tag.
const CHECKED_WITHIN: Duration = Duration::from_secs(60);

/// Between two polls, each of which goes through all that has run.
const POLL: Duration = Duration::from_millis(500);

/// The result of settling.
pub(super) struct Settled {
    /// How long it took; `None` after the deadline.
    pub(super) took: Option<Duration>,
    /// The violations that are left.
    pub(super) left: Vec<Finding>,
}

/// Waits until every workload runs what its tag names.
pub(super) async fn up(world: &World<'_>) -> Result<(), Error> {
    let hundreds = u32::try_from(world.notes.content().subjects.len() / 100).unwrap_or(u32::MAX);
    let within = UP_WITHIN.saturating_mul(hundreds.saturating_add(1));
    let up = eventually(within, "all pods run", async || {
        sleep(POLL).await;
        at_rest(&judge::stale(&world.present()))
    })
    .await;
    up.map_err(|error| Error::NotUp(error.to_string()))
}

/// Waits until every workload that may be rolled out runs what its tag names, and then for two more checks of every tag,
/// after which nothing will be done that should not be.
pub(super) async fn settle(
    world: &World<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Settled, Error> {
    let begun = now();
    let mut last = String::new();
    let rest = eventually(REST_WITHIN, "coming to rest", async || {
        sleep(POLL).await;
        let mut rest = at_rest(&judge::stale(&world.present()));
        if rest.is_ok() {
            let history = world.with_pods().await.map_err(|error| error.to_string())?;
            rest = at_rest(&left(&history));
        }
        rest.inspect_err(|left| {
            if last != *left {
                progress(left);
                left.clone_into(&mut last);
            }
        })
    });
    let rest = rest.await;
    let took = rest
        .is_ok()
        .then(|| Duration::try_from(now().duration_since(begun)).unwrap_or_default());
    if took.is_some() {
        for _ in 0..2 {
            let since = now();
            let checked = eventually(CHECKED_WITHIN, "a check of every tag", async || {
                sleep(POLL).await;
                all_checked(world, since)
            });
            checked
                .await
                .map_err(|error| Error::NotUp(error.to_string()))?;
        }
    }
    Ok(Settled {
        took,
        left: left(&world.with_pods().await?),
    })
}

/// The violations at present.
fn left(history: &History) -> Vec<Finding> {
    let mut left = judge::stale(history);
    left.extend(judge::outdated(history));
    left
}

fn at_rest(left: &[Finding]) -> Result<(), String> {
    match left.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} are left; {first}", left.len())),
    }
}

/// Whether the controller has requested every tag that it has to check since then.
fn all_checked(world: &World<'_>, since: Timestamp) -> Result<(), String> {
    let present = world.present();
    let mut wanted = BTreeSet::new();
    for subject in &present.subjects {
        let wish = subject.last_wish();
        if subject.rolls && wish.selected && !wish.paused && subject.pods > 0 {
            wanted.extend(subject.tags.values().cloned());
        }
    }
    for answer in world.answers() {
        if answer.at > since {
            wanted.remove(&answer.tag);
        }
    }
    match wanted.first() {
        None => Ok(()),
        Some(tag) => Err(format!("{tag} was not asked for")),
    }
}
