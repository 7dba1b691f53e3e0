//! The gauges of each workload.
//!
//! A gauge of the Prometheus library takes a kilobyte, so only the values are kept, and encoded on each scrape.

use std::{fmt::Write as _, num::NonZeroI64};

use ahash::HashMap;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::registrar::seconds;
use crate::workload::identity::{Identity, Inner};

/// The gauges of all workloads.
#[derive(Debug, Default)]
pub(crate) struct PerWorkload(Mutex<HashMap<Identity, Gauges>>);

/// The gauges of one workload.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    outdated: Option<bool>,
    /// In milliseconds since the Unix epoch, to save memory with ten thousand workloads.
    checked: Option<NonZeroI64>,
    pinned: Option<bool>,
    pinned_digest_gone: Option<bool>,
}

impl PerWorkload {
    /// Updates the gauges of a workload.
    pub(crate) fn update(&self, identity: &Identity, update: impl FnOnce(&mut Gauges)) {
        update(self.0.lock().entry(identity.clone()).or_default());
    }

    /// Drops the gauges of a workload.
    pub(super) fn forget(&self, identity: &Identity) {
        self.0.lock().remove(identity);
    }

    /// Drops all gauges.
    pub(super) fn clear(&self) {
        *self.0.lock() = HashMap::default();
    }

    /// Encodes all gauges in Prometheus's text format. Names and namespaces of objects need no escaping.
    pub(super) fn write(&self, prefix: &str, text: &mut String) {
        let all = self.0.lock();
        let mut all: Vec<(&Identity, &Gauges)> = all.iter().collect();
        all.sort_unstable_by_key(|(identity, _)| {
            (&identity.namespace, identity.kind, &identity.name)
        });
        for (name, help, value) in FAMILIES {
            let values = all
                .iter()
                .filter_map(|(identity, gauges)| Some((*identity, value(gauges)?)));
            write_family(text, &format!("{prefix}_{name}"), help, values);
        }
    }
}

impl Gauges {
    /// Sets whether the workload runs another image than its tags name.
    pub(crate) const fn outdated(&mut self, outdated: bool) {
        self.outdated = Some(outdated);
    }

    /// Sets whether all pods are pinned, and whether a registry no longer has a digest that they are pinned to; `None` if they
    /// are not to be pinned.
    pub(crate) fn pinned(&mut self, pinned: Option<(bool, bool)>) {
        (self.pinned, self.pinned_digest_gone) = pinned.unzip();
    }

    /// Sets the time of the last comparison with the registries; `None` if there is nothing to compare.
    pub(crate) fn checked(&mut self, at: Option<Timestamp>) {
        self.checked = at.and_then(|at| NonZeroI64::new(at.as_millisecond().max(1)));
    }
}

/// A family of gauges: its name, its help text, and its value for a workload.
type Family = (&'static str, &'static str, fn(&Gauges) -> Option<f64>);

const FAMILIES: [Family; 4] = [
    (
        "workload_last_check_timestamp_seconds",
        "Time of the last comparison of a workload with its registries",
        |gauges| {
            let checked = Timestamp::from_millisecond(gauges.checked?.get());
            checked.ok().map(seconds)
        },
    ),
    (
        "workload_outdated",
        "1 if the workload runs another image than its tags name",
        |gauges| flag(gauges.outdated),
    ),
    (
        "workload_pinned",
        "1 if all pods run the image that their workload pins",
        |gauges| flag(gauges.pinned),
    ),
    (
        "workload_pinned_digest_gone",
        "1 if the registry does not have a digest that pods are pinned to",
        |gauges| flag(gauges.pinned_digest_gone),
    ),
];

fn flag(flag: Option<bool>) -> Option<f64> {
    flag.map(|is_set| f64::from(u8::from(is_set)))
}

/// Writes a family of gauges, unless it is empty.
fn write_family<'a>(
    text: &mut String,
    family: &str,
    help: &str,
    values: impl Iterator<Item = (&'a Identity, f64)>,
) {
    let mut values = values.peekable();
    // Writing to a String cannot fail.
    if values.peek().is_some() {
        let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} gauge");
    }
    for (identity, value) in values {
        let Inner {
            kind,
            namespace,
            name,
            ..
        } = &**identity;
        let _ = writeln!(
            text,
            "{family}{{kind=\"{kind}\",name=\"{name}\",namespace=\"{namespace}\"}} {value}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        Identity::deployment("shop", name)
    }

    fn written(gauges: &PerWorkload) -> String {
        let mut text = String::new();
        gauges.write("a", &mut text);
        text
    }

    #[test]
    fn the_gauges_of_all_workloads_are_written_in_order() {
        let gauges = PerWorkload::default();
        assert_eq!(written(&gauges), "", "no family without a sample");
        gauges.update(&identity("web"), |gauges| gauges.outdated(true));
        gauges.update(&identity("api"), |gauges| gauges.outdated(false));
        let at = Timestamp::from_millisecond(1_500).expect("a time");
        gauges.update(&identity("web"), |gauges| gauges.checked(Some(at)));
        gauges.update(&identity("api"), |gauges| {
            gauges.pinned(Some((true, false)));
        });
        gauges.update(&identity("web"), |gauges| {
            gauges.pinned(Some((false, true)));
        });
        let expected = "\
# HELP a_workload_last_check_timestamp_seconds Time of the last comparison of a workload with its registries
# TYPE a_workload_last_check_timestamp_seconds gauge
a_workload_last_check_timestamp_seconds{kind=\"Deployment\",name=\"web\",namespace=\"shop\"} 1.5
# HELP a_workload_outdated 1 if the workload runs another image than its tags name
# TYPE a_workload_outdated gauge
a_workload_outdated{kind=\"Deployment\",name=\"api\",namespace=\"shop\"} 0
a_workload_outdated{kind=\"Deployment\",name=\"web\",namespace=\"shop\"} 1
# HELP a_workload_pinned 1 if all pods run the image that their workload pins
# TYPE a_workload_pinned gauge
a_workload_pinned{kind=\"Deployment\",name=\"api\",namespace=\"shop\"} 1
a_workload_pinned{kind=\"Deployment\",name=\"web\",namespace=\"shop\"} 0
# HELP a_workload_pinned_digest_gone 1 if the registry does not have a digest that pods are pinned to
# TYPE a_workload_pinned_digest_gone gauge
a_workload_pinned_digest_gone{kind=\"Deployment\",name=\"api\",namespace=\"shop\"} 0
a_workload_pinned_digest_gone{kind=\"Deployment\",name=\"web\",namespace=\"shop\"} 1
";
        assert_eq!(written(&gauges), expected);
        for name in ["api", "web"] {
            gauges.update(&identity(name), |gauges| gauges.checked(None));
            gauges.update(&identity(name), |gauges| gauges.pinned(None));
        }
        let text = written(&gauges);
        assert!(
            !text.contains("check") && !text.contains("pinned"),
            "{text}"
        );
    }

    #[test]
    fn a_workload_that_is_dropped_has_no_series() {
        let gauges = PerWorkload::default();
        gauges.update(&identity("web"), |gauges| gauges.outdated(true));
        gauges.update(&identity("api"), |gauges| gauges.outdated(true));
        gauges.forget(&identity("web"));
        let text = written(&gauges);
        assert!(!text.contains("web") && text.contains("api"), "{text}");
        gauges.clear();
        assert_eq!(written(&gauges), "");
    }
}
