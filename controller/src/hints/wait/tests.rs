//! Waits for workloads whose reconciles are simulated, on a paused clock.

use futures::StreamExt as _;
use jiff::SignedDuration;
use kube_autorollout_registry::{Credential, CredentialChain};

use super::*;
use crate::{
    observe::tags::TagKey,
    rollout::condition::Upcoming,
    workload::{Kind, Watch},
};

/// Nothing listens there: each response of the registry is a failure.
const IMAGE: &str = "localhost:1/team/app:main";

const MAX_WAIT: Duration = Duration::from_secs(120);

/// The condition that each reconcile of a workload finds, by its name.
type Conditions = HashMap<&'static str, (State, Option<Reason>)>;

/// A cluster that received a hint.
struct World {
    tags: Tags,
    states: States,
    triggers: Arc<Triggers>,
    stop: CancellationToken,
    since: Timestamp,
    conditions: Conditions,
}

impl World {
    /// Workloads that follow no image yet.
    fn new(conditions: impl Into<Conditions>) -> Self {
        let triggers = Arc::default();
        let world = Self {
            tags: Tags::with_defaults(&triggers),
            states: States::default(),
            triggers,
            stop: CancellationToken::new(),
            since: clock::now(),
            conditions: conditions.into(),
        };
        for name in world.conditions.keys() {
            world.states.select(&workload(name));
        }
        world
    }

    /// Completes a reconcile of a workload.
    fn reconcile(&self, name: &str, at: Timestamp) {
        let (state, reason) = self.conditions[name];
        self.states.with(name, |workload| {
            workload.set_condition((state, reason, None), at, Upcoming::default());
        });
    }

    /// Announces the image, and waits for its workloads, which are reconciled when they are triggered.
    async fn wait(&self) -> (WaitResult, Report) {
        let wait = Wait {
            tags: &self.tags,
            states: &self.states,
            triggers: &self.triggers,
            stop: &self.stop,
            since: self.since,
            started: Instant::now(),
        };
        let [deployment, ..] = Kind::ALL;
        let watch: Watch = (deployment.name(), None);
        let mut triggered = self.triggers.subscribe(deployment, &watch);
        let reconciles = async {
            while let Some(object) = triggered.next().await {
                self.reconcile(&object.name, clock::now());
            }
            unreachable!("the triggers exist");
        };
        self.tags.announce(IMAGE);
        let awaited = vec![AwaitedImage::new(IMAGE.into())];
        let (result, mut reports) = tokio::select! {
            biased;
            waited = wait.run(awaited, MAX_WAIT) => waited,
            () = reconciles => unreachable!("they never end"),
        };
        (result, reports.remove(0))
    }
}

fn workload(name: &str) -> Identity {
    Identity::deployment("shop", name)
}

/// The key of the image with credentials with which nobody requests it.
fn unrequested() -> TagKey {
    let credential = Credential::password("staging", "password");
    TagKey::of(IMAGE, &CredentialChain::from_iter([credential]))
}

/// The names, states and reasons of the workloads in a report, by name.
fn rows(report: &Report) -> Vec<String> {
    let row = |row: &Row| {
        let reason = row.reason.as_deref().unwrap_or_default();
        format!("{} {} {reason}", row.name, row.state)
    };
    let mut rows: Vec<_> = report.workloads.iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_paused_or_without_pods_ends_the_wait_though_its_tag_is_not_requested() {
    for (condition, row) in [
        ((State::Paused, None), "web Paused "),
        ((State::Skipped, Some(Reason::NoPods)), "web Skipped NoPods"),
    ] {
        let world = World::new([("web", condition)]);
        world.tags.follow(&workload("web"), &[unrequested()]);
        let (result, report) = world.wait().await;
        assert_eq!(result, WaitResult::Failed, "{row}");
        assert_eq!(rows(&report), [row]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_workload_without_pods_does_not_delay_the_end_of_a_wait_for_others() {
    let world = World::new([
        ("prod", (State::UpToDate, Some(Reason::Current))),
        ("staging", (State::Skipped, Some(Reason::NoPods))),
    ]);
    let requested = world.tags.fetch(IMAGE).await;
    world.tags.follow(&workload("prod"), &[requested]);
    world.tags.follow(&workload("staging"), &[unrequested()]);
    let (result, report) = world.wait().await;
    assert_eq!(
        result,
        WaitResult::Failed,
        "not all workloads run the image"
    );
    let expected = ["prod UpToDate Current", "staging Skipped NoPods"];
    assert_eq!(rows(&report), expected);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_response_of_the_registry_reports_its_workloads_when_it_times_out() {
    for condition in [
        (State::UpToDate, Some(Reason::Current)),
        (State::Skipped, Some(Reason::OnDelete)), // by the previous response
    ] {
        let world = World::new([("web", condition)]);
        world.tags.follow(&workload("web"), &[unrequested()]);
        let (result, report) = world.wait().await;
        assert_eq!(result, WaitResult::TimedOut);
        let (state, reason) = condition;
        let expected = format!("web {state} {}", reason.expect("a reason"));
        assert_eq!(rows(&report), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_term_is_not_a_timeout() {
    let world = World::new([("web", (State::RollingOut, Some(Reason::InFlight)))]);
    world.tags.follow(&workload("web"), &[unrequested()]);
    world.stop.cancel();
    let (result, _) = world.wait().await;
    assert_eq!(result, WaitResult::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_found_before_the_hint_does_not_end_the_wait() {
    let mut world = World::new([("web", (State::Paused, None))]);
    world.tags.follow(&workload("web"), &[unrequested()]);
    world.reconcile("web", world.since - SignedDuration::from_secs(1));
    world.conditions = Conditions::from([("web", (State::RollingOut, Some(Reason::InFlight)))]);
    let (result, report) = world.wait().await;
    assert_eq!(result, WaitResult::TimedOut);
    assert_eq!(rows(&report), ["web RollingOut InFlight"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_all_workloads_run_the_image() {
    let world = World::new([("web", (State::UpToDate, Some(Reason::Current)))]);
    let requested = world.tags.fetch(IMAGE).await;
    world.tags.follow(&workload("web"), &[requested]);
    let (result, report) = world.wait().await;
    assert_eq!(result, WaitResult::Completed);
    assert_eq!(rows(&report), ["web UpToDate Current"]);
}
