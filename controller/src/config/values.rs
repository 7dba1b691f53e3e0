//! The values that each key may have.

use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use jiff::tz::TimeZone;
use kube_autorollout_cloud::{self as cloud, Cloud};
use kube_autorollout_core::{
    platform::Platform,
    quoted::Quoted,
    schedule::{Schedule, parse_duration},
};
use kube_autorollout_hints::Sender;
use kube_autorollout_notifications::{Event, Group, SinkType};
use kube_autorollout_registry::{Endpoint, HostPattern};

use super::{
    log::{Directives, LogFormat, directives},
    scalar::{Refusal, Scalar},
    schema::most_like,
    secret::SecretText,
};

/// More concurrent requests would hurt a registry and never help.
const MAX_REQUESTS: usize = 1000;

/// A cron expression; the time zone is another key.
pub(super) struct CronExpression(pub(super) String);

/// A fixed interval between checks.
pub(super) struct Interval(pub(super) Schedule);

/// A duration that is not zero.
pub(super) struct Delay(pub(super) Duration);

/// An upper limit; `None` if it is 0.
pub(super) struct Limit(pub(super) Option<usize>);

/// The name of a namespace, or `*`.
pub(super) struct NamespaceName(pub(super) String);

/// The user that a token belongs to; charts write an empty text for none.
pub(super) struct Username(pub(super) String);

/// An AWS region.
pub(super) struct Region(pub(super) String);

/// The ARN of an AWS role.
pub(super) struct RoleArn(pub(super) String);

/// The types of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretType {
    ImagePullSecret,
    Opaque,
    None,
    CloudIdentity,
}

/// Implements [`Scalar`] for each type of a table: type, constants that are true, [`Scalar::ALLOWED`], and [`Scalar::parse`].
macro_rules! scalars {
    ($($type:ty $([$($constant:ident),+])?: $allowed:literal, $text:ident => $parsed:expr;)+) => {$(
        impl Scalar for $type {
            const ALLOWED: &'static str = $allowed;
            $($(const $constant: bool = true;)+)?

            fn parse($text: &str) -> Result<Self, Refusal> {
                $parsed
            }
        }
    )+};
}

scalars! {
    CronExpression: "a cron expression of 5 or 6 fields, or a nickname such as @hourly",
        text => Schedule::parse_cron(text, &TimeZone::UTC)
            .map(|_| Self(text.to_owned()))
            .map_err(because);
    Interval: "an integer and s, m or h, from 1s to 24h",
        text => Schedule::parse_interval(text).map(Self).map_err(because);
    TimeZone: "an IANA time zone such as Europe/Berlin",
        text => Self::get(text).map_err(not_allowed);
    Directives: "trace, debug, info, warn, error or off, or a comma-separated list of target=level",
        text => directives(text).ok_or(Refusal::NotAllowed);
    LogFormat: "text or json",
        text => word(text, &[("text", Self::Text), ("json", Self::Json)]);
    bool [UNQUOTED]: "true or false",
        text => text.trim().to_ascii_lowercase().parse().map_err(not_allowed);
    NonZeroU16 [UNQUOTED]: "an integer from 1 to 65535",
        text => number(text);
    NonZeroUsize [UNQUOTED]: "an integer from 1 to 1000",
        text => number(text).and_then(|most: Self| only_if(most.get() <= MAX_REQUESTS, most));
    Limit [UNQUOTED]: "an integer, 0 for no limit",
        text => number(text).map(|limit| Self(Some(limit).filter(|limit| *limit > 0)));
    Duration: "an integer and s, m or h",
        text => duration(text);
    Delay: "an integer and s, m or h, from 1s",
        text => duration(text).and_then(|delay| only_if(!delay.is_zero(), Self(delay)));
    Platform: "os/architecture or os/architecture/variant",
        text => text.parse().map_err(because);
    NamespaceName: "the name of a namespace, or [\"*\"] for the whole cluster",
        text => only_if(text == "*" || is_label(text), Self(text.to_owned()));
    PathBuf: "a file path",
        text => Ok(Self::from(text));
    String [UNQUOTED, MAY_BE_EMPTY]: "a text",
        text => Ok(text.to_owned());
    SecretText: "a non-empty string",
        text => Ok(Self::new(text));
    HostPattern: "a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com",
        text => text.parse().map_err(not_allowed);
    // The error of an endpoint does not repeat it, as it may contain a password.
    Endpoint: "an http or https URL with an optional port and path, such as https://harbor.corp/docker-hub",
        text => text.parse::<Self>().map_err(|error| Refusal::Described(error.to_string()));
    SecretType: "ImagePullSecret, Opaque, CloudIdentity or None",
        text => word(text, &[
            ("ImagePullSecret", Self::ImagePullSecret),
            ("Opaque", Self::Opaque),
            ("None", Self::None),
            ("CloudIdentity", Self::CloudIdentity),
        ]);
    Username [MAY_BE_EMPTY]: "a user name",
        text => Ok(Self(text.to_owned()));
    Cloud: "aws, gcp or azure",
        text => text.parse().map_err(not_allowed);
    Region: "a region of AWS such as eu-central-1",
        text => only_if(cloud::is_region(text), Self(text.to_owned()));
    RoleArn: "the ARN of a role such as arn:aws:iam::123456789012:role/ecr-reader",
        text => only_if(cloud::is_role_arn(text), Self(text.to_owned()));
    Sender: "generic, github, distribution, harbor, dockerhub, gitea, quay, acr, artifactory or cloudevents",
        text => text.parse().map_err(not_allowed);
    SinkType: "webhook, cloudevents, slack or teams",
        text => text
            .parse()
            .map_err(|_| misspelt(text, &Self::ALL.map(Self::as_str), Self::ALLOWED));
    Event: "started, rolledOut, notConverging, failed, heldBack, recovered, credentialRefused or pinnedDigestGone",
        text => text
            .parse()
            .map_err(|_| misspelt(text, &Self::ALL.map(Self::as_str), Self::ALLOWED));
    Group: "none, image or all",
        text => text.parse().map_err(not_allowed);
}

fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let word = words.iter().find(|(word, _)| *word == text);
    word.map(|(_, value)| *value).ok_or(Refusal::NotAllowed)
}

fn number<T: FromStr>(text: &str) -> Result<T, Refusal> {
    text.trim().parse().map_err(not_allowed)
}

fn duration(text: &str) -> Result<Duration, Refusal> {
    parse_duration(text).map_err(not_allowed)
}

fn only_if<T>(is_allowed: bool, value: T) -> Result<T, Refusal> {
    is_allowed.then_some(value).ok_or(Refusal::NotAllowed)
}

/// Whether a text is a DNS label, <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>.
fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    text.len() <= 63 && text.bytes().all(is_inner) && ends_well
}

fn not_allowed<E>(_: E) -> Refusal {
    Refusal::NotAllowed
}

fn because(error: impl std::error::Error) -> Refusal {
    Refusal::Because(error.to_string())
}

/// Refuses a word that is not in a closed list, and suggests the nearest one that is.
fn misspelt(text: &str, words: &[&str], allowed: &str) -> Refusal {
    let (found, nearest) = (Quoted::new(text), most_like(text, words.iter().copied()));
    Refusal::Because(format!(
        "found {found}, most like {nearest}; allowed: {allowed}"
    ))
}
