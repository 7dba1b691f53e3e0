//! Images as people know them: by version and commit where they have them, and by digest.

use std::{fmt, sync::Arc};

use kube_autorollout_core::{Digest, decide::Rollout, labels::ImageLabels, short};

use crate::observe::labels::Labels;

/// One build of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) digest: Digest,
    /// What it says of itself, where that is known.
    pub(crate) labels: Option<Arc<ImageLabels>>,
}

/// A container that was rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) container: String,
    /// What one of its pods ran, if it had run anything.
    pub(crate) from: Option<Build>,
    pub(crate) to: Build,
    /// How often it was rolled out to that, from one on.
    pub(crate) attempt: u32,
}

impl Build {
    fn of(digest: &Digest, labels: &Labels) -> Self {
        Self {
            digest: digest.clone(),
            labels: labels.get(digest),
        }
    }
}

/// What a rollout moves.
pub(super) fn moves(rollout: &Rollout, labels: &Labels) -> Box<[Move]> {
    let moves = rollout.changes.iter().map(|change| Move {
        container: change.container.clone(),
        from: change.from.as_ref().map(|from| Build::of(from, labels)),
        to: Build::of(&change.to, labels),
        attempt: rollout.attempts.of(&change.container),
    });
    moves.collect()
}

impl fmt::Display for Build {
    /// Writes `1.4.3 (sha256:0123456789ab, commit 0123456789ab)`, of which what is not known is left out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = short::digest(&self.digest);
        let labels = self.labels.as_ref();
        let version = labels.and_then(|labels| labels.version.as_deref());
        let commit = labels.and_then(|labels| labels.revision.as_deref());
        match (version, commit.map(short::start)) {
            (Some(version), Some(commit)) => {
                write!(formatter, "{version} ({digest}, commit {commit})")
            }
            (Some(version), None) => write!(formatter, "{version} ({digest})"),
            (None, Some(commit)) => write!(formatter, "{digest} (commit {commit})"),
            (None, None) => formatter.write_str(&digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_named_by_what_is_known_of_it() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let digest: Digest = digest.parse().expect("a digest");
        let named = |version: Option<&str>, revision: Option<&str>| {
            let labels = ImageLabels {
                version: version.map(Into::into),
                revision: revision.map(Into::into),
                ..ImageLabels::default()
            };
            let labels = (!labels.is_empty()).then(|| Arc::new(labels));
            let digest = digest.clone();
            Build { digest, labels }.to_string()
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
            assert_eq!(named(version, revision), expected);
        }
        assert!(named(None, Some(&"ä".repeat(9))).contains(&"ä".repeat(9)));
    }
}
