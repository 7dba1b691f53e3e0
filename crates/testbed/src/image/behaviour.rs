//! The behaviour of an image on the simulated nodes.

/// The config label that holds the [`Behaviour`] of an image.
pub const BEHAVIOUR_LABEL: &str = "testbed.behaviour";

/// What a container of an image does on a simulated node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// It runs, and is ready as soon as it has started.
    #[default]
    Runs,
    /// It exits with code 1 as soon as it has started.
    Crashes,
    /// It becomes ready, so that its rollout seems complete, and exits with code 1 a second later.
    CrashesLater,
    /// It runs and never becomes ready.
    NeverReady,
}

impl Behaviour {
    /// The value of [`BEHAVIOUR_LABEL`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Crashes => "crashes",
            Self::CrashesLater => "crashes-later",
            Self::NeverReady => "never-ready",
        }
    }

    /// The behaviour with this label value; every other value is that of an image that runs.
    pub(crate) fn from_label(value: &str) -> Self {
        [Self::Crashes, Self::CrashesLater, Self::NeverReady]
            .into_iter()
            .find(|behaviour| behaviour.as_str() == value)
            .unwrap_or_default()
    }
}
