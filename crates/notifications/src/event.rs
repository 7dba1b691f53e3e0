//! The events that messages report.

use std::str::FromStr;

/// An event of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The API server accepted the patch of a rollout.
    Started,
    /// All pods run the new image and are Ready.
    RolledOut,
    /// The pods do not run the image that was rolled out.
    NotConverging,
    /// The rollout exceeded its progress deadline, or the API server rejected it.
    Failed,
    /// The image has changed, but the rollout is delayed.
    HeldBack,
    /// After [`NotConverging`](Self::NotConverging) or [`Failed`](Self::Failed), the workload runs the images of its tags.
    Recovered,
    /// A registry rejected a credential.
    CredentialRefused,
    /// A registry no longer has a digest that pods are pinned to.
    PinnedDigestGone,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 8] = [
        Self::Started,
        Self::RolledOut,
        Self::NotConverging,
        Self::Failed,
        Self::HeldBack,
        Self::Recovered,
        Self::CredentialRefused,
        Self::PinnedDigestGone,
    ];

    /// The events of a sink without a list of events.
    pub const DEFAULT: [Self; 5] = [
        Self::RolledOut,
        Self::NotConverging,
        Self::Failed,
        Self::Recovered,
        Self::CredentialRefused,
    ];

    /// The stable name in the configuration and the JSON schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::RolledOut => "rolledOut",
            Self::NotConverging => "notConverging",
            Self::Failed => "failed",
            Self::HeldBack => "heldBack",
            Self::Recovered => "recovered",
            Self::CredentialRefused => "credentialRefused",
            Self::PinnedDigestGone => "pinnedDigestGone",
        }
    }

    /// The `type` attribute of a `CloudEvent`.
    pub const fn cloud_event_type(self) -> &'static str {
        match self {
            Self::Started => "io.kube-autorollout.started",
            Self::RolledOut => "io.kube-autorollout.rolled-out",
            Self::NotConverging => "io.kube-autorollout.not-converging",
            Self::Failed => "io.kube-autorollout.failed",
            Self::HeldBack => "io.kube-autorollout.held-back",
            Self::Recovered => "io.kube-autorollout.recovered",
            Self::CredentialRefused => "io.kube-autorollout.credential-refused",
            Self::PinnedDigestGone => "io.kube-autorollout.pinned-digest-gone",
        }
    }

    /// The title for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Started => "Rollout started",
            Self::RolledOut => "Rolled out",
            Self::NotConverging => "Not converging",
            Self::Failed => "Rollout failed",
            Self::HeldBack => "Rollout held back",
            Self::Recovered => "Recovered",
            Self::CredentialRefused => "Credential refused",
            Self::PinnedDigestGone => "Pinned digest gone",
        }
    }

    /// Whether a person may have to act.
    pub(crate) const fn is_problem(self) -> bool {
        matches!(
            self,
            Self::NotConverging | Self::Failed | Self::CredentialRefused | Self::PinnedDigestGone
        )
    }

    /// The bit in a set of events.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Event {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let mut all = Self::ALL.into_iter();
        all.find(|event| event.as_str() == text).ok_or(UnknownEvent)
    }
}

/// An unknown event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no event")]
pub struct UnknownEvent;
