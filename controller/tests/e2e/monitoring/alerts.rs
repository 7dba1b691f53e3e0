//! The alert rules.

use std::{ffi::OsStr, path::Path, process::Command};

use kube_autorollout_testbed::installed;

use super::{RULES, path};

/// Runs Prometheus's own tool, which must be content.
pub(super) fn promtool(arguments: [&str; 2], file: &Path) {
    let Some(program) = installed("promtool") else {
        return;
    };
    let arguments = arguments.map(OsStr::new);
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .expect("promtool runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn prometheus_accepts_the_alert_rules() {
    promtool(["check", "rules"], &path(RULES));
}

#[test]
fn each_alert_fires_when_it_should_and_none_while_all_is_well() {
    let tests = "controller/tests/e2e/monitoring/alerts.test.yaml";
    let text = super::text(tests);
    for alert in super::rules("- alert: ") {
        assert!(
            text.contains(&format!("name: {alert} fires\n")),
            "{alert} has no test"
        );
    }
    promtool(["test", "rules"], &path(tests));
}
