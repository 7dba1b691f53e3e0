//! The clock of the controller's machine is set, by libfaketime (<https://github.com/wolfcw/libfaketime>): nothing is
//! rolled out twice, and nothing has to wait for the old time to come back.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube_autorollout_testbed::{environment::with_sources, installed, workload::eventually};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::{Controller, SOON, World},
    way::complete,
};

const HOUR: i64 = 3600;

/// A clock that can be set, for controllers. The monotonic clock is not affected.
pub(crate) struct Clock {
    folder: TempDir,
}

impl Clock {
    /// Nothing where libfaketime is not installed.
    pub(crate) fn new() -> Option<Self> {
        let faketime = installed("faketime")?;
        let library = Command::new(faketime)
            .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
            .output()
            .expect("it runs");
        let library = String::from_utf8(library.stdout).expect("a path");
        let clock = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        clock.set(0);
        // All processes read the clock from the file, so that the clock can be set at any moment.
        let script = format!(
            "#!/bin/sh
export LD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}' FAKETIME_NO_CACHE=1
export FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
exec '{}' \"$@\"
",
            library.trim(),
            clock.file().display(),
            env!("CARGO_BIN_EXE_kube-autorollout"),
        );
        fs::write(clock.program(), script).expect("a file");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(clock.program(), executable).expect("its owner");
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("controller")
    }

    /// Sets the clock to this many seconds after the true time.
    pub(crate) fn set(&self, offset: i64) {
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{offset:+}\n")).expect("a file");
        fs::rename(next, self.file()).expect("swapped"); // nobody reads half of it
    }

    /// A controller that lives by this clock.
    pub(crate) async fn controller(&self, world: &World, configuration: &str) -> Controller {
        let (program, text) = (self.program(), complete(configuration));
        let testbed = &world.testbed;
        let started = testbed.start_controller(&world.namespace, &program, &text, "/readyz");
        Controller(
            started
                .await
                .unwrap_or_else(|error| panic!("{}", with_sources(&error))),
        )
    }
}

/// Waits until the workload was checked at the true time with this offset.
async fn checked_at(controller: &Controller, name: &str, offset: i64) {
    let checked = eventually(SOON, "a check by the new clock", async || {
        let last = Duration::from_secs_f64(controller.metrics().await.last_check(name));
        let now = now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now
            .expect("after 1970")
            .as_secs()
            .saturating_add_signed(offset);
        if last.as_secs().abs_diff(now) < SOON.as_secs() {
            Ok(())
        } else {
            Err(format!("checked at {}, and it is {now}", last.as_secs()))
        }
    });
    checked.await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_clock_that_is_set_back_or_forward_costs_no_rollout_and_no_leadership() {
    const ELECTED: &str = "leaderElection: { enabled: true }";
    let Some(clock) = Clock::new() else { return };
    let world = World::new("clock").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let limits = "rollouts: { maxConcurrent: 1, minInterval: 1s, settle: 1s }";
    let controller = clock
        .controller(&world, &format!("{ELECTED}\n{limits}"))
        .await;
    controller.until_all("UpToDate", 1).await;
    checked_at(&controller, "web", 0).await;
    let other = world.controller(ELECTED).await;

    for (version, offset) in (2..).zip([-HOUR, 0, HOUR, 0]) {
        clock.set(offset);
        checked_at(&controller, "web", offset).await;
        world.push(&world.version(version), "app").await;
        world.until_running(&world.marker(version), 1).await;
        controller.until_all("UpToDate", 1).await;
        for path in ["/livez", "/readyz"] {
            assert_eq!(controller.get(path).await, 200);
        }
    }
    assert_eq!(world.patches(), 4, "one for each push");
    assert_eq!(other.metrics().await.value("leader", &[]), Some(0.0));
    let lease = world.namespace.api::<Lease>().get("kube-autorollout").await;
    let lease = lease.expect("a Lease").spec.expect("a spec");
    assert_eq!(lease.lease_transitions, Some(0));
}

#[tokio::test]
async fn a_hold_ends_when_the_clock_says_so_also_where_it_is_set() {
    let Some(clock) = Clock::new() else { return };
    let world = World::new("clock-hold").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = clock.controller(&world, "").await;
    let soon = now() + Duration::from_secs(1800);
    let instant = jiff::Timestamp::try_from(soon).expect("a time").to_string();
    let hold = json!({ "metadata": { "annotations": { "kube-autorollout/hold": instant } } });
    world.patch("web", hold).await;
    world.push(&world.version(2), "app").await;
    controller.until_all("Held", 1).await;
    clock.set(-HOUR);
    checked_at(&controller, "web", -HOUR).await;
    assert_eq!(world.patches(), 0);
    clock.set(HOUR);
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;

    // It is no hold again when the clock is set back, but for what comes after.
    clock.set(0);
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[expect(clippy::disallowed_methods, reason = "the true time, to compare with")]
fn now() -> SystemTime {
    SystemTime::now()
}
