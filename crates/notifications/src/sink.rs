//! Sinks: the receivers of messages.

mod target;
mod validate;

use std::{path::PathBuf, str::FromStr, time::Duration};

pub use self::{
    target::{InvalidTarget, Target},
    validate::{Problem, sinks},
};
use crate::{event::Event, notice::Notice};

/// The type of a sink, which determines the format of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkType {
    /// Our own JSON.
    Webhook,
    /// The same JSON as the data of a `CloudEvent`.
    CloudEvents,
    /// An incoming webhook of Slack, or a compatible service.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
}

/// How events are grouped into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// One message for each event.
    None,
    /// One message for the same event and images.
    Image,
    /// One message for the same event.
    All,
}

/// The configuration of a sink.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Its name in metrics and the log.
    pub name: String,
    /// The format of its messages.
    pub kind: SinkType,
    /// The URL, if it is in the configuration.
    pub url: Option<Target>,
    /// The file with the URL, which is read for each message.
    pub url_file: Option<PathBuf>,
    /// The file with the signing key.
    pub secret_file: Option<PathBuf>,
    /// The events to send; [`Event::DEFAULT`] if empty.
    pub events: Vec<Event>,
    /// Globs of namespaces whose events are sent; all if empty.
    pub namespaces: Vec<String>,
    /// The grouping; by default that of the type.
    pub group: Option<Group>,
}

/// A sink with valid settings.
#[derive(Debug, Clone)]
pub struct Sink {
    settings: SinkSettings,
    namespaces: Vec<glob::Pattern>,
}

impl SinkType {
    /// All types.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::CloudEvents, Self::Slack, Self::Teams];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::CloudEvents => "cloudevents",
            Self::Slack => "slack",
            Self::Teams => "teams",
        }
    }

    /// Whether its messages are signed if there is a key.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Webhook | Self::CloudEvents)
    }

    /// The default grouping: programs get each event, people one message for many.
    const fn group(self) -> Group {
        match self {
            Self::Webhook | Self::CloudEvents => Group::None,
            Self::Slack | Self::Teams => Group::Image,
        }
    }

    /// The minimum time between two messages: Slack accepts one per second and channel
    /// (<https://docs.slack.dev/apis/web-api/rate-limits>), Teams four per second
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

/// An unknown type of sink.
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

/// An unknown grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no way to group: use none, image or all")]
pub struct UnknownGroup;

impl Sink {
    /// The configuration.
    pub const fn settings(&self) -> &SinkSettings {
        &self.settings
    }

    /// Whether the notice's event and namespace are selected.
    pub fn accepts(&self, notice: &Notice) -> bool {
        let events = self.settings.events.as_slice();
        let is_event = match events {
            [] => Event::DEFAULT.contains(&notice.event),
            events => events.contains(&notice.event),
        };
        let namespace = &notice.workload.namespace;
        let mut patterns = self.namespaces.iter();
        let is_namespace =
            self.namespaces.is_empty() || patterns.any(|pattern| pattern.matches(namespace));
        is_event && is_namespace
    }

    /// The grouping of its messages.
    pub(crate) fn group(&self) -> Group {
        let kind = self.settings.kind;
        self.settings.group.unwrap_or_else(|| kind.group())
    }
}
