//! The values that the configuration's keys may have.

use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use jiff::tz::TimeZone;
use kube_autorollout_cloud::{self as cloud, Cloud};
use kube_autorollout_core::{
    platform::Platform,
    schedule::{Schedule, parse_duration},
};
use kube_autorollout_hints::Sender;
use kube_autorollout_notifications::{Event, Group, SinkType};
use kube_autorollout_registry::{Endpoint, HostPattern};

use super::{
    log::LogFormat,
    scalar::{Refusal, Scalar},
    schema::most_like,
};

/// More requests at once would hurt a registry; as many as this never help.
const MAX_REQUESTS: usize = 1000;

/// A cron expression, to be read in a time zone.
pub(super) struct CronExpression(pub(super) String);

/// A fixed time between checks.
pub(super) struct Interval(pub(super) Schedule);

/// A length of time.
pub(super) struct Span(pub(super) Duration);

/// A length of time that is not zero.
pub(super) struct Wait(pub(super) Duration);

/// The most of something; none for no limit.
pub(super) struct Limit(pub(super) Option<usize>);

/// The most requests in flight to one host.
pub(super) struct Requests(pub(super) NonZeroUsize);

/// The name of a namespace, or the star.
pub(super) struct NamespaceName(pub(super) String);

/// Whose password a token is; an empty one stands for none, as charts write it.
pub(super) struct Username(pub(super) String);

/// The types that a secret may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretType {
    ImagePullSecret,
    Opaque,
    None,
    CloudIdentity,
}

/// Any text; an empty one stands for none, as charts write it.
pub(super) struct Text(pub(super) String);

/// A region of AWS.
pub(super) struct Region(pub(super) String);

/// The ARN of a role of AWS.
pub(super) struct RoleArn(pub(super) String);

impl Scalar for CronExpression {
    const ALLOWED: &'static str =
        "a cron expression of 5 or 6 fields, or a nickname such as @hourly";

    fn parse(text: &str) -> Result<Self, Refusal> {
        because(Schedule::parse_cron(text, &TimeZone::UTC)).map(|_| Self(text.to_owned()))
    }
}

impl Scalar for Interval {
    const ALLOWED: &'static str = "an integer and s, m or h, from 1s to 24h";

    fn parse(text: &str) -> Result<Self, Refusal> {
        because(Schedule::parse_interval(text)).map(Self)
    }
}

impl Scalar for TimeZone {
    const ALLOWED: &'static str = "an IANA time zone such as Europe/Berlin";

    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::get(text).map_err(|_| Refusal::NotAllowed)
    }
}

impl Scalar for LogFormat {
    const ALLOWED: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Refusal::NotAllowed),
        }
    }
}

impl Scalar for NonZeroU16 {
    const ALLOWED: &'static str = "an integer from 1 to 65535";

    fn from_number(number: u64) -> Option<Self> {
        u16::try_from(number).ok().and_then(Self::new)
    }
}

impl Scalar for Limit {
    const ALLOWED: &'static str = "an integer, 0 for no limit";

    fn from_number(number: u64) -> Option<Self> {
        let most = usize::try_from(number).ok()?;
        Some(Self((most > 0).then_some(most)))
    }
}

impl Scalar for Requests {
    const ALLOWED: &'static str = "an integer from 1 to 1000";

    fn from_number(number: u64) -> Option<Self> {
        let number = usize::try_from(number).ok().and_then(NonZeroUsize::new)?;
        (number.get() <= MAX_REQUESTS).then_some(Self(number))
    }
}

impl Scalar for bool {
    const ALLOWED: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim().to_ascii_lowercase();
        text.parse().map_err(|_| Refusal::NotAllowed)
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl Scalar for Span {
    const ALLOWED: &'static str = "an integer and s, m or h";

    fn parse(text: &str) -> Result<Self, Refusal> {
        parse_duration(text)
            .map(Self)
            .map_err(|_| Refusal::NotAllowed)
    }
}

impl Scalar for Wait {
    const ALLOWED: &'static str = "an integer and s, m or h, from 1s";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let wait = parse_duration(text).ok().filter(|wait| !wait.is_zero());
        wait.map(Self).ok_or(Refusal::NotAllowed)
    }
}

impl Scalar for Platform {
    const ALLOWED: &'static str = "os/architecture or os/architecture/variant";

    fn parse(text: &str) -> Result<Self, Refusal> {
        because(text.parse())
    }
}

/// A DNS label, <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>, or the star.
impl Scalar for NamespaceName {
    const ALLOWED: &'static str = "the name of a namespace, or [\"*\"] for the whole cluster";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let ends_well = !text.starts_with('-') && !text.ends_with('-');
        let label = text.len() <= 63 && text.bytes().all(inner) && ends_well;
        if label || text == "*" {
            Ok(Self(text.to_owned()))
        } else {
            Err(Refusal::NotAllowed)
        }
    }
}

impl Scalar for PathBuf {
    const ALLOWED: &'static str = "a file path";

    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(Self::from(text))
    }
}

impl Scalar for HostPattern {
    const ALLOWED: &'static str =
        "a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| Refusal::NotAllowed)
    }
}

/// What was found is not repeated: it may hold a password.
impl Scalar for Endpoint {
    const ALLOWED: &'static str = "an http or https URL with an optional port and path, such as https://harbor.corp/docker-hub";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse::<Self>()
            .map_err(|error| Refusal::Described(error.to_string()))
    }
}

impl Scalar for SecretType {
    const ALLOWED: &'static str = "ImagePullSecret, Opaque, CloudIdentity or None";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "ImagePullSecret" => Ok(Self::ImagePullSecret),
            "Opaque" => Ok(Self::Opaque),
            "None" => Ok(Self::None),
            "CloudIdentity" => Ok(Self::CloudIdentity),
            _ => Err(Refusal::NotAllowed),
        }
    }
}

impl Scalar for Cloud {
    const ALLOWED: &'static str = "aws, gcp or azure";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|()| Refusal::NotAllowed)
    }
}

impl Scalar for Region {
    const ALLOWED: &'static str = "a region of AWS such as eu-central-1";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = cloud::is_region(text).then(|| Self(text.to_owned()));
        allowed.ok_or(Refusal::NotAllowed)
    }
}

impl Scalar for RoleArn {
    const ALLOWED: &'static str =
        "the ARN of a role such as arn:aws:iam::123456789012:role/ecr-reader";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = cloud::is_role_arn(text).then(|| Self(text.to_owned()));
        allowed.ok_or(Refusal::NotAllowed)
    }
}

impl Scalar for Username {
    const ALLOWED: &'static str = "a user name";

    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(Self(text.to_owned()))
    }

    fn from_nothing() -> Option<Self> {
        Some(Self(String::new()))
    }
}

impl Scalar for Text {
    const ALLOWED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(Self(text.to_owned()))
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number.to_string()))
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(Self(flag.to_string()))
    }

    fn from_nothing() -> Option<Self> {
        Some(Self(String::new()))
    }
}

impl Scalar for Sender {
    const ALLOWED: &'static str = "generic, github, distribution, harbor, dockerhub, gitea, quay, acr, artifactory or cloudevents";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| Refusal::NotAllowed)
    }
}

impl Scalar for SinkType {
    const ALLOWED: &'static str = "webhook, cloudevents, slack or teams";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let words = Self::ALL.map(Self::as_str);
        text.parse()
            .map_err(|_| unknown(text, &words, Self::ALLOWED))
    }
}

impl Scalar for Event {
    const ALLOWED: &'static str = "started, rolledOut, notConverging, failed, heldBack, recovered, credentialRefused or \
                                   pinnedDigestGone";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let words = Self::ALL.map(Self::as_str);
        text.parse()
            .map_err(|_| unknown(text, &words, Self::ALLOWED))
    }
}

impl Scalar for Group {
    const ALLOWED: &'static str = "none, image or all";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| Refusal::NotAllowed)
    }
}

/// A word that is none of a closed list, with the one of them that was probably meant.
fn unknown(text: &str, words: &[&str], allowed: &str) -> Refusal {
    let nearest = most_like(text, words);
    Refusal::Because(format!(
        "found {text:?}, most like {nearest}; allowed: {allowed}"
    ))
}

fn because<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, Refusal> {
    result.map_err(|error| Refusal::Because(error.to_string()))
}
