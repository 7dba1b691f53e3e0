//! What is done to whom and when, drawn from a seed before anything begins.

use std::{fmt, ops::Range, time::Duration};

use http::StatusCode;

use super::{cast::kind_of, dice::Dice};
use crate::{
    liar::{Lie, Mood},
    workload::Kind,
};

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// How many workloads there are.
    pub workloads: usize,
    /// How many tags they are spread over.
    pub tags: usize,
    /// For how long there are faults.
    pub faults: Duration,
    /// From check to check of the controller.
    pub interval: Duration,
}

impl Scale {
    /// For the tests: with its start and its end, two minutes.
    pub const SHORT: Self = Self {
        workloads: 60,
        tags: 16,
        faults: Duration::from_secs(60),
        interval: Duration::from_secs(2),
    };

    /// For a night, or at least ten minutes.
    pub const LONG: Self = Self {
        workloads: 300,
        tags: 60,
        faults: Duration::from_secs(600),
        interval: Duration::from_secs(5),
    };
}

/// What is pushed to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// An image that was never there.
    Next,
    /// The image that the tag named before the present one, in an index of its own.
    Back,
    /// The present image with another attestation.
    Attested,
}

/// What an owner does to a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Select(bool),
    Hold(bool),
    Pause(bool),
    Scale(usize),
}

/// How a replica of the controller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By SIGKILL.
    Killed,
    /// By SIGTERM.
    Stopped,
    /// Not at all: it stands still (SIGSTOP).
    Frozen,
}

/// A fault, or something else that happens in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Push {
        tag: usize,
        content: Content,
    },
    Edit {
        workload: usize,
        edit: Edit,
    },
    DeletePods {
        workload: usize,
    },
    ApiServer {
        away: Duration,
        compacted: bool,
    },
    RegistryDown {
        away: Duration,
    },
    Registry {
        mood: Mood,
        lasts: Duration,
    },
    Controller {
        replica: usize,
        end: End,
        away: Duration,
    },
}

impl Fault {
    /// What it is called, without to whom it happens and for how long.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Push { content, .. } => format!("push: {content:?}"),
            Self::Edit { edit, .. } => match edit {
                Edit::Scale(_) => "owner: Scale".to_owned(),
                other => format!("owner: {other:?}"),
            },
            Self::DeletePods { .. } => "pod deleted".to_owned(),
            Self::ApiServer { compacted, .. } if *compacted => {
                "API server stopped, etcd compacted, API server started".to_owned()
            }
            Self::ApiServer { .. } => "API server stopped and started".to_owned(),
            Self::RegistryDown { .. } => "registry: down".to_owned(),
            Self::Registry { mood, .. } => format!("registry: {mood:?}"),
            Self::Controller { end, .. } => format!("replica: {end:?}"),
        }
    }
}

/// A fault and when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) fault: Fault,
}

/// All faults of a run, in lanes: in each they come one after the other, and the lanes do not wait for one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How much there is of everything.
    pub scale: Scale,
    pub(super) lanes: Vec<Vec<Step>>,
}

impl Plan {
    /// Draws a plan.
    pub fn new(seed: u64, scale: Scale) -> Self {
        let mut dice = Dice::new(seed);
        let mut lane = |draw: fn(&mut Dice, Scale) -> Vec<Step>| draw(&mut dice.apart(), scale);
        let lanes = vec![
            lane(pushes),
            lane(edits),
            lane(deletions),
            lane(api_server),
            lane(registry),
            lane(controllers),
        ];
        Self { seed, scale, lanes }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps: Vec<&Step> = self.lanes.iter().flatten().collect();
        steps.sort_by_key(|step| step.at);
        writeln!(
            formatter,
            "seed {}: {} faults in {} s",
            self.seed,
            steps.len(),
            self.scale.faults.as_secs()
        )?;
        for Step { at, fault } in steps {
            writeln!(formatter, "{:8.3} s  {fault:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

const fn seconds(range: Range<u64>) -> Range<Duration> {
    milliseconds(range.start * 1000..range.end * 1000)
}

const fn milliseconds(range: Range<u64>) -> Range<Duration> {
    Duration::from_millis(range.start)..Duration::from_millis(range.end)
}

/// Steps with pauses in between, until the time for faults is over. `draw` also says how long a step lasts.
fn steps(
    dice: &mut Dice,
    scale: Scale,
    pause: &Range<Duration>,
    mut draw: impl FnMut(&mut Dice) -> (Fault, Duration),
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = dice.time(pause.clone());
    while at < scale.faults {
        let (fault, lasts) = draw(dice);
        steps.push(Step { at, fault });
        at += lasts + dice.time(pause.clone());
    }
    steps
}

/// Single pushes, and now and then several to one tag within seconds.
fn pushes(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    let mut left = 0;
    let mut tag = 0;
    steps(dice, scale, &milliseconds(100..1500), |dice| {
        if left == 0 {
            tag = dice.below(scale.tags);
            left = if dice.one_in(4) { 2 + dice.below(3) } else { 1 };
        }
        left -= 1;
        let content = match dice.below(8) {
            0 => Content::Attested,
            1 | 2 => Content::Back,
            _ => Content::Next,
        };
        (Fault::Push { tag, content }, Duration::ZERO)
    })
}

/// Labels, holds and pauses, of which most are taken back, and other numbers of replicas.
fn edits(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    let mut off: Vec<(usize, Edit)> = Vec::new();
    steps(dice, scale, &milliseconds(0..1500), |dice| {
        let workload = dice.below(scale.workloads);
        let is_off = off.iter().any(|(other, _)| *other == workload);
        let back = off.len() > scale.workloads / 8 || is_off || dice.one_in(3);
        let (workload, edit) = if back && !off.is_empty() {
            let (workload, edit) = off.swap_remove(dice.below(off.len()));
            let edit = match edit {
                Edit::Select(_) => Edit::Select(true),
                Edit::Hold(_) => Edit::Hold(false),
                Edit::Pause(_) => Edit::Pause(false),
                Edit::Scale(replicas) => Edit::Scale(replicas),
            };
            (workload, edit)
        } else {
            let edit = match (dice.below(4), kind_of(workload)) {
                (0, _) => Edit::Select(false),
                (1, Kind::Deployment) => Edit::Pause(true),
                (2, Kind::Deployment | Kind::StatefulSet) => Edit::Scale(dice.below(4)),
                _ => Edit::Hold(true),
            };
            if !matches!(edit, Edit::Scale(_)) {
                off.push((workload, edit));
            }
            (workload, edit)
        };
        (Fault::Edit { workload, edit }, Duration::ZERO)
    })
}

/// Pods that are deleted under their workloads.
fn deletions(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    steps(dice, scale, &milliseconds(200..2000), |dice| {
        let workload = dice.below(scale.workloads);
        (Fault::DeletePods { workload }, Duration::ZERO)
    })
}

fn api_server(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    let mut compacted = dice.one_in(2);
    steps(dice, scale, &seconds(10..25), |dice| {
        compacted = !compacted;
        let away = dice.time(milliseconds(200..6000));
        (Fault::ApiServer { away, compacted }, away)
    })
}

/// Every trouble in turn, in an order of its own each time.
fn registry(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    let mut coming = Vec::new();
    steps(dice, scale, &milliseconds(500..3000), |dice| {
        if coming.is_empty() {
            coming = dice.shuffled(troubles());
        }
        let lasts = dice.time(milliseconds(1000..4000));
        let fault = match coming.pop().flatten() {
            Some(mood) => Fault::Registry { mood, lasts },
            None => Fault::RegistryDown { away: lasts },
        };
        (fault, lasts)
    })
}

/// All that a registry can do wrong; nothing stands for one that is not there.
fn troubles() -> Vec<Option<Mood>> {
    let statuses = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let lies = [
        Lie::Digest,
        Lie::Content,
        Lie::Truncated,
        Lie::MediaType,
        Lie::Page,
    ];
    let slow = Mood::Slow(Duration::from_millis(1500));
    let moods = [slow, Mood::Silent].into_iter();
    let moods = moods
        .chain(statuses.map(Mood::Refuses))
        .chain(lies.map(Mood::Lies));
    moods.map(Some).chain([None]).collect()
}

/// Replicas end in every way in turn; one that stands still does so for longer than a lease now and then.
fn controllers(dice: &mut Dice, scale: Scale) -> Vec<Step> {
    let mut coming = Vec::new();
    steps(dice, scale, &seconds(1..6), |dice| {
        if coming.is_empty() {
            let ends = [End::Killed, End::Stopped, End::Frozen];
            coming = dice.shuffled(ends.to_vec());
        }
        let end = coming.pop().unwrap_or(End::Killed);
        let away = match end {
            End::Frozen => dice.time(seconds(2..20)),
            End::Killed | End::Stopped => dice.time(milliseconds(0..8000)),
        };
        let replica = dice.below(super::REPLICAS);
        (Fault::Controller { replica, end, away }, away)
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, mem::discriminant};

    use super::*;
    use crate::chaos::cast::Role;

    #[test]
    fn a_seed_always_draws_the_same_plan_and_another_one_another() {
        let plan = Plan::new(7, Scale::LONG);
        assert_eq!(plan, Plan::new(7, Scale::LONG));
        assert_ne!(plan.lanes, Plan::new(8, Scale::LONG).lanes);
        assert!(plan.to_string().starts_with("seed 7: "), "{plan}");
    }

    #[test]
    fn a_short_plan_has_every_way_to_end_a_replica_and_trouble_of_every_sort() {
        for seed in 0..100 {
            let plan = Plan::new(seed, Scale::SHORT);
            assert!(plan.lanes.iter().all(|lane| !lane.is_empty()), "{plan}");
            let mut ends = Vec::new();
            let mut moods = Vec::new();
            for step in plan.lanes.iter().flatten() {
                match step.fault {
                    Fault::Controller { end, .. } => ends.push(discriminant(&end)),
                    Fault::Registry { mood, .. } => moods.push(discriminant(&mood)),
                    _ => {}
                }
            }
            ends.dedup();
            assert!(ends.len() > 2, "{plan}");
            moods.dedup();
            assert!(moods.len() > 3, "{plan}");
        }
    }

    #[test]
    fn the_steps_of_a_lane_come_one_after_the_other_and_concern_what_there_is() {
        let plan = Plan::new(3, Scale::LONG);
        for lane in &plan.lanes {
            assert!(lane.is_sorted_by_key(|step| step.at));
        }
        let mut edited = BTreeSet::new();
        for step in plan.lanes.iter().flatten() {
            assert!(step.at < Scale::LONG.faults);
            match step.fault {
                Fault::Push { tag, .. } => assert!(tag < Scale::LONG.tags),
                Fault::Edit { workload, edit } => {
                    edited.insert(workload);
                    let kind = Role::of(workload, Scale::LONG.tags).kind;
                    let possible = match edit {
                        Edit::Pause(_) => kind == Kind::Deployment,
                        Edit::Scale(_) => kind != Kind::DaemonSet,
                        Edit::Select(_) | Edit::Hold(_) => true,
                    };
                    assert!(possible, "{step:?}");
                }
                _ => {}
            }
        }
        assert!(edited.len() > Scale::LONG.workloads / 3, "{}", edited.len());
    }
}
