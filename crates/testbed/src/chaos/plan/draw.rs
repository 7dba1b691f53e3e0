//! Draws the lanes of a plan.

use std::{ops::Range, time::Duration};

use http::StatusCode;

use super::fault::{Content, Edit, End, Fault, Scale, Step};
use crate::{
    chaos::{
        rng::Rng,
        workloads::{FAR, MOST_PODS, NAMESPACES, NEAR, REPLICAS, kind_of, steady},
    },
    fault_proxy::{Forgery, Mode},
    workload::Kind,
};

/// How many nodes there are to go away.
const NODES: usize = 2;

/// Draws the steps of a lane.
type Draw = fn(&mut Rng, Scale) -> Vec<Step>;

/// All lanes.
pub(super) const LANES: [Draw; 11] = [
    pushes,
    edits,
    deletions,
    unready,
    nodes,
    admission,
    mirror,
    api_server,
    near_registry,
    far_registry,
    controllers,
];

const fn seconds(range: Range<u64>) -> Range<Duration> {
    milliseconds(range.start * 1000..range.end * 1000)
}

const fn milliseconds(range: Range<u64>) -> Range<Duration> {
    Duration::from_millis(range.start)..Duration::from_millis(range.end)
}

/// Steps with pauses in between, until the time for faults is over. `draw` also returns how long a step lasts.
fn steps(
    rng: &mut Rng,
    scale: Scale,
    pause: &Range<Duration>,
    mut draw: impl FnMut(&mut Rng) -> (Fault, Duration),
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = rng.time(pause.clone());
    while at < scale.faults {
        let (fault, lasts) = draw(rng);
        steps.push(Step { at, fault });
        at += lasts + rng.time(pause.clone());
    }
    steps
}

/// Single pushes, and now and then several to one tag within seconds.
fn pushes(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut left = 0;
    let mut tag = 0;
    steps(rng, scale, &milliseconds(100..1500), |rng| {
        if left == 0 {
            tag = rng.below(scale.tags);
            left = if rng.one_in(4) { 2 + rng.below(3) } else { 1 };
        }
        left -= 1;
        let content = match rng.below(8) {
            0 => Content::Attested,
            1 if steady(scale.tags) != Some(tag) => Content::Back,
            1 | 2 => Content::Rebuilt,
            _ => Content::Next,
        };
        (Fault::Push { tag, content }, Duration::ZERO)
    })
}

/// Labels, holds and pauses, most of which are reverted, and changes of `replicas`.
fn edits(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut off: Vec<(usize, Edit)> = Vec::new();
    steps(rng, scale, &milliseconds(0..1500), |rng| {
        let workload = rng.below(scale.workloads);
        let is_off = off.iter().any(|(other, _)| *other == workload);
        let back = off.len() > scale.workloads / 8 || is_off || rng.one_in(3);
        let (workload, edit) = if back && !off.is_empty() {
            let (workload, edit) = off.swap_remove(rng.below(off.len()));
            let edit = match edit {
                Edit::Select(_) => Edit::Select(true),
                Edit::Hold(_) => Edit::Hold(false),
                Edit::Pause(_) => Edit::Pause(false),
                Edit::Scale(replicas) => Edit::Scale(replicas),
            };
            (workload, edit)
        } else {
            let edit = match (rng.below(4), kind_of(workload)) {
                (0, _) => Edit::Select(false),
                (1, Kind::Deployment) => Edit::Pause(true),
                (2, Kind::Deployment | Kind::StatefulSet) => Edit::Scale(rng.below(MOST_PODS + 1)),
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
fn deletions(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    steps(rng, scale, &milliseconds(200..2000), |rng| {
        let workload = rng.below(scale.workloads);
        (Fault::DeletePods { workload }, Duration::ZERO)
    })
}

/// Pods that are not ready for a while.
fn unready(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    steps(rng, scale, &milliseconds(100..1000), |rng| {
        let workload = rng.below(scale.workloads);
        let lasts = rng.time(milliseconds(500..6000));
        (Fault::Unready { workload, lasts }, lasts)
    })
}

/// Nodes that are away, every other time long enough for their pods to be evicted.
fn nodes(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut evicted = false;
    steps(rng, scale, &seconds(5..15), |rng| {
        evicted = !evicted;
        let lasts = rng.time(if evicted {
            seconds(9..16)
        } else {
            seconds(1..6)
        });
        let node = rng.below(NODES);
        (Fault::NodeAway { node, lasts }, lasts)
    })
}

/// Pods of one namespace after the other are sent to the other registry.
fn admission(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut namespace = rng.below(NAMESPACES);
    steps(rng, scale, &seconds(5..12), |rng| {
        namespace = (namespace + 1) % NAMESPACES;
        let lasts = rng.time(seconds(4..12));
        (Fault::Admission { namespace, lasts }, lasts)
    })
}

/// Two or three times within half a minute the mirror is behind, and then it is well for a long time, so that a digest
/// that it did not have is there before the attempts to roll it out are used up.
fn mirror(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut left = 0;
    let mut well = rng.time(seconds(3..8));
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += well;
        if at >= scale.faults {
            return steps;
        }
        if left == 0 {
            left = 2 + rng.below(2);
        }
        left -= 1;
        let lasts = rng.time(seconds(2..6));
        steps.push(Step {
            at,
            fault: Fault::MirrorLags { lasts },
        });
        well = lasts
            + rng.time(if left == 0 {
                seconds(90..120)
            } else {
                seconds(1..3)
            });
    }
}

fn api_server(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut compacted = rng.one_in(2);
    steps(rng, scale, &seconds(10..25), |rng| {
        compacted = !compacted;
        let away = rng.time(milliseconds(200..6000));
        (Fault::ApiServer { away, compacted }, away)
    })
}

/// Every trouble of the near registry in turn, in an order of its own each time.
fn near_registry(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut coming = Vec::new();
    steps(rng, scale, &milliseconds(500..3000), |rng| {
        if coming.is_empty() {
            coming = rng.shuffled(troubles());
        }
        let lasts = rng.time(milliseconds(1000..4000));
        let fault = match coming.pop().flatten() {
            Some(mode) => Fault::Registry {
                way: NEAR,
                mode,
                lasts,
            },
            None => Fault::RegistryDown { away: lasts },
        };
        (fault, lasts)
    })
}

/// All that a registry can do wrong; nothing stands for one that is not there.
fn troubles() -> Vec<Option<Mode>> {
    let statuses = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let forgeries = [
        Forgery::Digest,
        Forgery::Content,
        Forgery::Truncated,
        Forgery::MediaType,
        Forgery::Page,
    ];
    let slow = Mode::Slow(Duration::from_millis(1500));
    let modes = [slow, Mode::Silent, Mode::RefusesDigests].into_iter();
    let modes = modes
        .chain(statuses.map(Mode::Refuses))
        .chain(forgeries.map(Mode::Forges));
    modes.map(Some).chain([None]).collect()
}

/// The far registry's own troubles in turn: brown-outs, manifests that are refused, another token server.
fn far_registry(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut coming = Vec::new();
    steps(rng, scale, &seconds(1..5), |rng| {
        if coming.is_empty() {
            coming = rng.shuffled(vec![0, 1, 2]);
        }
        match coming.pop() {
            Some(0) => {
                let lasts = rng.time(seconds(6..12));
                (Fault::BrownOut { way: FAR, lasts }, lasts)
            }
            Some(1) => {
                let lasts = rng.time(seconds(2..6));
                let fault = Fault::Registry {
                    way: FAR,
                    mode: Mode::RefusesDigests,
                    lasts,
                };
                (fault, lasts)
            }
            _ => (Fault::RealmMoves { way: FAR }, Duration::ZERO),
        }
    })
}

/// Replicas end in every way in turn; one that stands still does so for longer than a lease now and then.
fn controllers(rng: &mut Rng, scale: Scale) -> Vec<Step> {
    let mut coming = Vec::new();
    steps(rng, scale, &seconds(1..6), |rng| {
        if coming.is_empty() {
            let ends = [End::Killed, End::Stopped, End::Frozen];
            coming = rng.shuffled(ends.to_vec());
        }
        let end = coming.pop().unwrap_or(End::Killed);
        let away = match end {
            End::Frozen => rng.time(seconds(2..20)),
            End::Killed | End::Stopped => rng.time(milliseconds(0..8000)),
        };
        let replica = rng.below(REPLICAS);
        (Fault::Controller { replica, end, away }, away)
    })
}
