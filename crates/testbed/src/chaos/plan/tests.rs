//! Plans are the same for a seed, and have every fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
    time::Duration,
};

use super::*;
use crate::{
    chaos::workloads::{Role, steady},
    workload::Kind,
};

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
        let mut modes = Vec::new();
        for step in plan.lanes.iter().flatten() {
            match step.fault {
                Fault::Controller { end, .. } => ends.push(discriminant(&end)),
                Fault::Registry { mode, .. } => modes.push(discriminant(&mode)),
                _ => {}
            }
        }
        ends.dedup();
        assert!(ends.len() > 2, "{plan}");
        modes.dedup();
        assert!(modes.len() > 3, "{plan}");
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
            Fault::Push { tag, content } => {
                assert!(tag < Scale::LONG.tags);
                assert!(content != Content::Back || steady(Scale::LONG.tags) != Some(tag));
            }
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

#[test]
fn a_short_plan_has_every_fault_of_pods_nodes_admission_mirrors_and_the_far_registry() {
    for seed in 0..100 {
        let plan = Plan::new(seed, Scale::SHORT);
        let mut counts = BTreeMap::<String, usize>::new();
        for step in plan.lanes.iter().flatten() {
            *counts.entry(step.fault.name()).or_default() += 1;
        }
        for fault in [
            "pods not ready",
            "node away",
            "admission sends pods to another registry",
            "mirror behind",
            "registry: RefusesDigests",
            "registry: brown-out",
            "registry: token server moved",
        ] {
            assert!(counts.contains_key(fault), "{fault} in {plan}");
        }
    }
}

/// The attempt after the last wait comes when the mirror is well, even if it comes a minute late.
#[test]
fn a_mirror_is_well_when_the_last_attempt_comes() {
    let wait = RETRY_AFTER[2];
    for seed in 0..100 {
        let plan = Plan::new(seed, Scale::LONG);
        let steps = plan.lanes.iter().flatten();
        let behind: Vec<_> = steps
            .filter_map(|step| match step.fault {
                Fault::MirrorLags { lasts } => Some((step.at, step.at + lasts)),
                _ => None,
            })
            .collect();
        for (begin, end) in &behind {
            let last_attempts = *begin + wait..*end + wait + Duration::from_secs(45);
            let meets = behind
                .iter()
                .any(|(begin, end)| *begin < last_attempts.end && *end > last_attempts.start);
            assert!(!meets, "{behind:?}");
        }
    }
}
