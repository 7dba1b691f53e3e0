//! The pages about metrics and alerts say what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{RULES, alerts::promtool, dashboard::DASHBOARD, metrics, path, rules, text};
use crate::pages::{blocks, page, pages};

/// The type and the labels, sorted, of each metric in the tables of the page about them.
pub(super) fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let page = text("docs/metrics.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, _, _, _] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let mut labels: Vec<_> = labels.map(str::to_owned).collect();
        labels.sort();
        Some((name.to_owned(), (kind.to_owned(), labels)))
    });
    rows.collect()
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_are_documented() {
    let documented: BTreeSet<_> = documented().into_keys().collect();
    for file in [RULES, DASHBOARD, "docs/alerts.md", "docs/metrics.md"] {
        let named = metrics(&text(file));
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&documented).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn each_alert_has_its_section_of_the_runbook_and_the_runbook_no_other() {
    const PAGE: &str = "https://github.com/juv/kube-autorollout/blob/main/docs/alerts.md";
    let alerts = rules("- alert: ");
    let page = text("docs/alerts.md");
    let sections: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(sections, alerts);
    let links: Vec<_> = alerts
        .iter()
        .map(|alert| format!("{PAGE}#{}", alert.to_lowercase()))
        .collect();
    assert_eq!(rules("runbook_url: "), links);
    for section in page.split("\n## ").skip(1) {
        for part in [
            "**Meaning.**",
            "**Causes.**",
            "**Check.**",
            "**Resolution.**",
        ] {
            assert!(section.contains(part), "no {part} in {section}");
        }
    }
}

#[test]
fn the_picture_of_the_dashboard_is_there_and_small() {
    let picture = "docs/images/dashboard.png";
    assert!(text("docs/metrics.md").contains("](images/dashboard.png)"));
    let size = std::fs::metadata(path(picture)).expect(picture).len();
    assert!((10_000..300_000).contains(&size), "{size} bytes");
}

#[test]
fn prometheus_accepts_the_configuration_that_is_shown() {
    let mut read = 0;
    for name in pages() {
        for configuration in blocks(&page(&name), "yaml prometheus") {
            // Debian builds its Prometheus without this discovery, so that another has to take its place
            let [discovery, none] = [
                "kubernetes_sd_configs:\n      - role: pod\n",
                "static_configs:\n      - targets: []\n",
            ];
            assert!(
                configuration.contains(discovery),
                "{name}:\n{configuration}"
            );
            let file = tempfile::NamedTempFile::new().expect("a file");
            let known = configuration.replace(discovery, none);
            std::fs::write(file.path(), known).expect("a file");
            promtool(["check", "config"], file.path());
            let honors = configuration.contains("honor_labels: true\n");
            assert!(honors, "our label namespace would be renamed");
            read += 1;
        }
    }
    assert!(read > 0, "no configuration was found");
}
