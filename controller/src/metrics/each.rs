//! The series that each workload has for itself.
//!
//! They are not kept as gauges of Prometheus's library, as one of those takes a kilobyte, but as what they show, and
//! written when they are asked for.

use std::{fmt::Write as _, num::NonZeroI64};

use ahash::HashMap;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::make::seconds;
use crate::workload::identity::{Identity, Inner};

/// What is shown of each workload.
#[derive(Debug, Default)]
pub(super) struct Each(Mutex<HashMap<Identity, One>>);

#[derive(Debug, Default)]
struct One {
    outdated: Option<bool>,
    /// In milliseconds since the Unix epoch: with ten thousand workloads, each word counts.
    checked: Option<NonZeroI64>,
    pinned: Option<bool>,
    pinned_digest_gone: Option<bool>,
}

impl Each {
    /// Whether a workload runs what its tags name.
    pub(super) fn outdated(&self, identity: &Identity, outdated: bool) {
        self.change(identity, |one| one.outdated = Some(outdated));
    }

    /// Whether the pods of a workload that are to be pinned are, and whether a registry does not have what they are pinned to.
    pub(super) fn pinned(&self, identity: &Identity, pinned: bool, gone: bool) {
        self.change(identity, |one| {
            one.pinned = Some(pinned);
            one.pinned_digest_gone = Some(gone);
        });
    }

    /// A workload was compared with its registries.
    pub(super) fn checked(&self, identity: &Identity, at: Timestamp) {
        let at = NonZeroI64::new(at.as_millisecond().max(1));
        self.change(identity, |one| one.checked = at);
    }

    /// A workload is not shown any more.
    pub(super) fn forget(&self, identity: &Identity) {
        self.0.lock().remove(identity);
    }

    /// None is shown any more.
    pub(super) fn clear(&self) {
        *self.0.lock() = HashMap::default();
    }

    /// Everything in Prometheus's text format. Names and namespaces of objects hold nothing that had to be escaped.
    pub(super) fn write(&self, prefix: &str, text: &mut String) {
        let all = self.0.lock();
        let mut all: Vec<(&Identity, &One)> = all.iter().collect();
        all.sort_unstable_by_key(|(whose, _)| (&whose.namespace, whose.kind, &whose.name));
        let checked = |one: &One| {
            Some(seconds(
                Timestamp::from_millisecond(one.checked?.get()).ok()?,
            ))
        };
        let flag = |flag: Option<bool>| flag.map(|is| f64::from(u8::from(is)));
        family(
            text,
            &format!("{prefix}_workload_last_check_timestamp_seconds"),
            "Time of the last comparison of a workload with its registries",
            all.iter()
                .filter_map(|(whose, one)| Some((*whose, checked(one)?))),
        );
        family(
            text,
            &format!("{prefix}_workload_outdated"),
            "1 if the workload runs another image than its tags name",
            all.iter()
                .filter_map(|(whose, one)| Some((*whose, flag(one.outdated)?))),
        );
        family(
            text,
            &format!("{prefix}_workload_pinned"),
            "1 if all pods run the image that their workload pins",
            all.iter()
                .filter_map(|(whose, one)| Some((*whose, flag(one.pinned)?))),
        );
        family(
            text,
            &format!("{prefix}_workload_pinned_digest_gone"),
            "1 if the registry does not have a digest that pods are pinned to",
            all.iter()
                .filter_map(|(whose, one)| Some((*whose, flag(one.pinned_digest_gone)?))),
        );
    }

    fn change(&self, identity: &Identity, change: impl FnOnce(&mut One)) {
        change(self.0.lock().entry(identity.clone()).or_default());
    }
}

/// Writes a family of gauges, if there is any.
fn family<'a>(
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
    for (whose, value) in values {
        let Inner {
            kind,
            namespace,
            name,
            ..
        } = &**whose;
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

    fn written(each: &Each) -> String {
        let mut text = String::new();
        each.write("a", &mut text);
        text
    }

    #[test]
    fn what_is_reported_of_each_workload_is_written_in_order() {
        let each = Each::default();
        assert_eq!(written(&each), "", "no family without a sample");
        each.outdated(&identity("web"), true);
        each.outdated(&identity("api"), false);
        let at = Timestamp::from_millisecond(1_500).expect("a time");
        each.checked(&identity("web"), at);
        each.pinned(&identity("api"), true, false);
        each.pinned(&identity("web"), false, true);
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
        assert_eq!(written(&each), expected);
    }

    #[test]
    fn a_workload_that_is_forgotten_has_no_series() {
        let each = Each::default();
        each.outdated(&identity("web"), true);
        each.outdated(&identity("api"), true);
        each.forget(&identity("web"));
        let text = written(&each);
        assert!(!text.contains("web") && text.contains("api"), "{text}");
        each.clear();
        assert_eq!(written(&each), "");
    }
}
