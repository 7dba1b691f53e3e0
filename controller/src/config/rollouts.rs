//! What keeps rollouts from becoming a storm.

use std::{sync::Arc, time::Duration};

use kube_autorollout_core::decide::Policy;

use super::{node::Node, reader::Reader};

const NUMBER: &str = "a whole number, 0 for no limit";
const DURATION: &str = "one whole number and s, m or h";
const WAIT: &str = "one whole number and s, m or h, from 1s";

/// Limits, each of which may be off, and when a rollout is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollouts {
    /// So many of our rollouts may be in flight at once; nothing stands for no limit.
    pub(crate) max_concurrent: Option<usize>,
    /// The shortest time between two rollouts of one workload.
    pub(crate) min_interval: Duration,
    /// For how long a tag must have named a digest before that is rolled out.
    pub(crate) settle: Duration,
    /// How long to wait, each time from the last rollout, before a digest is rolled out again whose rollout is over and
    /// whose pods run another image.
    pub(crate) retry_after: Arc<[Duration]>,
}

impl Rollouts {
    /// The same as a decision knows it, with places left in the budget.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            settle: self.settle,
            min_interval: self.min_interval,
            retry_after: Arc::clone(&self.retry_after),
            budget_spent: false,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Rollouts> {
    let max_concurrent = node
        .get("maxConcurrent")
        .and_then(|node| reader.number(&node, NUMBER, |number| usize::try_from(number).ok()));
    let mut length = |key| {
        let node = node.get(key)?;
        reader.choose(&node, DURATION, duration)
    };
    let (min_interval, settle) = (length("minInterval"), length("settle"));
    let retry_after = node.get("retryAfter").and_then(|node| {
        reader.each(&node, |reader, entry| {
            let wait = |text: &str| duration(text).filter(|wait| !wait.is_zero());
            reader.choose(entry, WAIT, wait)
        })
    });
    Some(Rollouts {
        max_concurrent: max_concurrent.map(|most| (most > 0).then_some(most))?,
        min_interval: min_interval?,
        settle: settle?,
        retry_after: retry_after?.into(),
    })
}

fn duration(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 60 * 60)];
    let (digits, seconds) = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u32 = digits.parse().ok().filter(|_| plain)?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}
