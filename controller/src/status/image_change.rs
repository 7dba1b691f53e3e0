//! Image versions as Events and logs show them: by version and commit if the image has these labels, and by digest.

use kube_autorollout_core::{Digest, decide::Rollout, short};
use kube_autorollout_notifications::Version;

use crate::observe::labels::Labels;

/// The change of a container by a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageChange {
    pub(crate) container: String,
    /// What one of its pods ran; `None` if it ran nothing.
    pub(crate) from: Option<Version>,
    pub(crate) to: Version,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
}

/// The changes of a rollout.
pub(super) fn changes(rollout: &Rollout, labels: &Labels) -> Box<[ImageChange]> {
    let version = |digest: &Digest| Version {
        digest: digest.clone(),
        labels: labels.get(digest),
    };
    let changes = rollout.changes.iter().map(|change| ImageChange {
        container: change.container.clone(),
        from: change.from.as_ref().map(version),
        to: version(&change.to),
        attempt: rollout.attempts.count(&change.container),
    });
    changes.collect()
}

/// Formats a version as `1.4.3 (sha256:0123456789ab, commit 0123456789ab)`, without the parts that are unknown.
pub(super) fn describe(version: &Version) -> String {
    let digest = short::digest(&version.digest);
    let labels = version.labels.as_ref();
    let version = labels.and_then(|labels| labels.version.as_deref());
    let commit = labels.and_then(|labels| labels.revision.as_deref());
    match (version, commit.map(short::prefix)) {
        (Some(version), Some(commit)) => format!("{version} ({digest}, commit {commit})"),
        (Some(version), None) => format!("{version} ({digest})"),
        (None, Some(commit)) => format!("{digest} (commit {commit})"),
        (None, None) => digest,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kube_autorollout_core::labels::ImageLabels;

    use super::*;

    #[test]
    fn a_version_is_described_by_its_labels_and_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let digest: Digest = digest.parse().expect("a digest");
        let described = |version: Option<&str>, revision: Option<&str>| {
            let labels = ImageLabels {
                version: version.map(Into::into),
                revision: revision.map(Into::into),
                ..ImageLabels::default()
            };
            let labels = (!labels.is_empty()).then(|| Arc::new(labels));
            let digest = digest.clone();
            describe(&Version { digest, labels })
        };
        let commit = "0123456789abcdef";
        let cases = [
            (None, None, "sha256:aaaaaaaaaaaa"),
            (Some("1.4.3"), None, "1.4.3 (sha256:aaaaaaaaaaaa)"),
            (
                None,
                Some(commit),
                "sha256:aaaaaaaaaaaa (commit 0123456789ab)",
            ),
            (
                Some("1.4.3"),
                Some(commit),
                "1.4.3 (sha256:aaaaaaaaaaaa, commit 0123456789ab)",
            ),
        ];
        for (version, revision, expected) in cases {
            assert_eq!(described(version, revision), expected);
        }
        assert!(described(None, Some(&"ä".repeat(9))).contains(&"ä".repeat(9)));
    }
}
