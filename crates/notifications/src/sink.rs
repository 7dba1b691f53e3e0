//! Where messages go, and which.

mod target;
mod validate;

use std::{path::PathBuf, str::FromStr, time::Duration};

pub use self::{
    target::{InvalidTarget, Target},
    validate::{Problem, sinks},
};
use crate::{event::Event, notice::Notice};

/// The service that a sink is, which decides the format of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkType {
    /// JSON of our own.
    Webhook,
    /// The same as data of a `CloudEvent`.
    CloudEvents,
    /// An incoming webhook of Slack, or of what takes the same.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
}

/// Which events become one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Each is its own.
    None,
    /// The same event of the same images.
    Image,
    /// The same event.
    All,
}

/// A sink as it is configured.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Its name in metrics and the log.
    pub name: String,
    /// The format of its messages.
    pub kind: SinkType,
    /// Where they are sent, if that is in the configuration.
    pub url: Option<Target>,
    /// The file that has the URL, which is read again for each message.
    pub url_file: Option<PathBuf>,
    /// The file with the key that messages are signed with.
    pub secret_file: Option<PathBuf>,
    /// The events that are sent; those of [`Event::DEFAULT`] if there is none.
    pub events: Vec<Event>,
    /// Globs of the namespaces whose events are sent; all if there is none.
    pub namespaces: Vec<String>,
    /// What becomes one message; what suits the type if it is not set.
    pub group: Option<Group>,
}

/// A sink without mistakes.
#[derive(Debug, Clone)]
pub struct Sink {
    settings: SinkSettings,
    namespaces: Vec<glob::Pattern>,
}

impl SinkType {
    /// All types.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::CloudEvents, Self::Slack, Self::Teams];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::CloudEvents => "cloudevents",
            Self::Slack => "slack",
            Self::Teams => "teams",
        }
    }

    /// Whether its messages are signed where there is a key.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Webhook | Self::CloudEvents)
    }

    /// Programs get each event, people one message for many.
    const fn group(self) -> Group {
        match self {
            Self::Webhook | Self::CloudEvents => Group::None,
            Self::Slack | Self::Teams => Group::Image,
        }
    }

    /// The shortest time between two messages: Slack takes one a second for each channel
    /// (<https://docs.slack.dev/apis/web-api/rate-limits>), Teams four a second
    /// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>).
    pub const fn pace(self) -> Duration {
        match self {
            Self::Webhook | Self::CloudEvents => Duration::ZERO,
            Self::Slack => Duration::from_secs(1),
            Self::Teams => Duration::from_millis(250),
        }
    }
}

impl FromStr for SinkType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or(UnknownType)
    }
}

/// A word that is no type of sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no type of sink")]
pub struct UnknownType;

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        match text {
            "none" => Ok(Self::None),
            "image" => Ok(Self::Image),
            "all" => Ok(Self::All),
            _ => Err(UnknownGroup),
        }
    }
}

/// A word that is no way to group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no way to group: use none, image or all")]
pub struct UnknownGroup;

impl Sink {
    /// As it is configured.
    pub const fn settings(&self) -> &SinkSettings {
        &self.settings
    }

    /// Whether the sink is sent such an event.
    pub fn takes(&self, notice: &Notice) -> bool {
        let events = self.settings.events.as_slice();
        let of_event = match events {
            [] => Event::DEFAULT.contains(&notice.event),
            events => events.contains(&notice.event),
        };
        let namespace = &notice.workload.namespace;
        let of_namespace = self.namespaces.is_empty()
            || self
                .namespaces
                .iter()
                .any(|pattern| pattern.matches(namespace));
        of_event && of_namespace
    }

    /// What becomes one message.
    pub(crate) fn group(&self) -> Group {
        let kind = self.settings.kind;
        self.settings.group.unwrap_or_else(|| kind.group())
    }
}
