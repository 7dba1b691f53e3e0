//! The record of earlier rollouts, an annotation of the pod template.
//!
//! A digest that is recorded for a container is not rolled out again.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::Digest;

/// The value of an annotation: a JSON object with an entry for each container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByContainer<V>(pub(crate) BTreeMap<String, V>);

/// For each container the digest that it was last rolled out to: the value of [`DIGESTS`](crate::annotations::DIGESTS).
pub type Record = ByContainer<Digest>;

/// For each container how often its digest was rolled out, if more than once: the value of
/// [`ATTEMPTS`](crate::annotations::ATTEMPTS).
pub type Attempts = ByContainer<u32>;

/// A container that is rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub container: String,
    /// The digest that one of its pods ran, if known.
    pub from: Option<Digest>,
    /// The digest behind its tag.
    pub to: Digest,
}

impl<V: DeserializeOwned> ByContainer<V> {
    /// Parses the annotation. A malformed value, which somebody else wrote, counts as absent.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }
}

impl<V> ByContainer<V> {
    /// Whether there is no entry, so that the annotation is omitted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for ByContainer<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Serialize> fmt::Display for ByContainer<V> {
    /// Writes a JSON object with sorted keys, so that equal values are equal texts.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(&self.0).map_err(|_| fmt::Error)?;
        formatter.write_str(&json)
    }
}

impl<V> IntoIterator for ByContainer<V> {
    type Item = (String, V);
    type IntoIter = btree_map::IntoIter<String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Record {
    /// The digest that `container` was last rolled out to.
    pub fn digest(&self, container: &str) -> Option<&Digest> {
        self.0.get(container)
    }

    /// The record after a rollout of `changes`, without containers that the template no longer has.
    #[must_use]
    pub fn after(&self, changes: &[Change], template_containers: &[String]) -> Self {
        let entries = changes
            .iter()
            .map(|change| (change.container.clone(), change.to.clone()));
        let mut digests = self.0.clone();
        digests.retain(|container, _| template_containers.contains(container));
        digests.extend(entries);
        Self(digests)
    }
}

impl Attempts {
    /// How often the recorded digest of `container` was rolled out, at least one.
    pub fn count(&self, container: &str) -> u32 {
        self.0.get(container).copied().unwrap_or(1).max(1)
    }

    /// The attempts after a rollout of `changes`: incremented for a digest that is already in `record`, removed for a new
    /// digest, and unchanged for the other containers of the template.
    #[must_use]
    pub fn after(
        &self,
        changes: &[Change],
        record: &Record,
        template_containers: &[String],
    ) -> Self {
        let mut attempts = self.0.clone();
        attempts.retain(|container, _| template_containers.contains(container));
        for change in changes {
            if record.digest(&change.container) == Some(&change.to) {
                let next = self.count(&change.container).saturating_add(1);
                attempts.insert(change.container.clone(), next);
            } else {
                attempts.remove(&change.container);
            }
        }
        Self(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(hex: char) -> Digest {
        let hex = hex.to_string().repeat(64);
        format!("sha256:{hex}")
            .parse()
            .expect("a test's own digest")
    }

    fn change(container: &str, to: Digest) -> Change {
        Change {
            container: container.to_owned(),
            from: None,
            to,
        }
    }

    #[test]
    fn a_record_is_json_with_sorted_keys_and_reads_itself() {
        let template = ["web".to_owned(), "proxy".to_owned()];
        let changes = [change("web", digest('a')), change("proxy", digest('b'))];
        let record = Record::default().after(&changes, &template);
        let text = format!(r#"{{"proxy":"{}","web":"{}"}}"#, digest('b'), digest('a'));
        assert_eq!(record.to_string(), text);
        assert_eq!(Record::parse(&text), Some(record));
    }

    #[test]
    fn another_shape_counts_as_absent() {
        for text in [
            "",
            "null",
            "[]",
            "sha256:12",
            r#"{"web":1}"#,
            r#"{"web":"sha256:12"}"#,
            r#"{"web":null}"#,
        ] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
    }

    #[test]
    fn attempts_are_counted_for_as_long_as_the_digest_stays_the_record() {
        let template = ["web".to_owned(), "proxy".to_owned()];
        let record = Record::default().after(&[change("web", digest('a'))], &template);
        let after = |attempts: &Attempts, letter| {
            attempts.after(&[change("web", digest(letter))], &record, &template)
        };
        let first =
            Attempts::default().after(&[change("web", digest('a'))], &Record::default(), &template);
        assert!(first.is_empty() && first.count("web") == 1);
        let second = after(&first, 'a');
        assert_eq!(second.to_string(), r#"{"web":2}"#);
        let third = after(&second, 'a');
        assert_eq!(third.count("web"), 3);
        let other = third.after(&[change("proxy", digest('b'))], &record, &template);
        assert_eq!(other, third, "another container's rollout is none of it");
        assert!(after(&third, 'b').is_empty(), "another digest");
        assert!(third.after(&[], &record, &template[1..]).is_empty());
        for text in ["", "null", "[]", r#"{"web":"2"}"#, r#"{"web":-1}"#] {
            assert_eq!(Attempts::parse(text), None, "{text}");
        }
        let zero = Attempts::parse(r#"{"web":0}"#).expect("a number");
        assert_eq!(zero.count("web"), 1);
    }

    #[test]
    fn a_rollout_replaces_its_own_entries_and_drops_those_of_removed_containers() {
        let all = ["web", "proxy", "gone"].map(str::to_owned);
        let before = all.clone().map(|name| change(&name, digest('a')));
        let before = Record::default().after(&before, &all);
        let after = before.after(&[change("web", digest('b'))], &all[..2]);
        assert_eq!(after.digest("web"), Some(&digest('b')));
        assert_eq!(after.digest("proxy"), Some(&digest('a')));
        assert_eq!(after.digest("gone"), None);
    }
}
