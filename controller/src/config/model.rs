//! The keys of the configuration and the types of their values.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use jiff::tz::TimeZone;
use kube_autorollout_cloud::Cloud;
use kube_autorollout_core::platform::Platform;
use kube_autorollout_hints::Sender;
use kube_autorollout_notifications::{Event, Group, SinkType};
use kube_autorollout_registry::{Endpoint, HostPattern};
use serde::de::{
    Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer,
};

use super::{
    log::{LogFormat, LogLevel},
    problem::KeyPath,
    scalar::{Valid, value},
    secret::SecretText,
    values::{
        CronExpression, Delay, Interval, Limit, NamespaceName, Region, RoleArn, SecretType,
        Username,
    },
};

/// A list; entries without a value keep their positions.
pub(super) type List<T> = Vec<Option<T>>;

/// The top level. Keys that are not optional have a default.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Model {
    pub(super) cron_schedule: Option<Valid<CronExpression>>,
    pub(super) interval: Option<Valid<Interval>>,
    pub(super) time_zone: Valid<TimeZone>,
    pub(super) log_level: LogLevel,
    pub(super) log_format: Valid<LogFormat>,
    pub(super) hints: Section<Hints>,
    pub(super) notifications: Section<Notifications>,
    pub(super) webserver: Section<Webserver>,
    pub(super) watch: Section<Watch>,
    pub(super) platforms: List<Valid<Platform>>,
    pub(super) rollouts: Section<Rollouts>,
    pub(super) pinning: Section<Feature>,
    pub(super) leader_election: Section<Feature>,
    pub(super) registries: List<Section<Registry>>,
    pub(super) tls: Section<Tls>,
    pub(super) feature_flags: Section<FeatureFlags>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Webserver {
    pub(super) port: Valid<NonZeroU16>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Watch {
    pub(super) namespaces: List<Valid<NamespaceName>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rollouts {
    pub(super) max_concurrent: Valid<Limit>,
    pub(super) min_interval: Valid<Duration>,
    pub(super) settle: Valid<Duration>,
    pub(super) retry_after: List<Valid<Delay>>,
}

/// A feature without settings.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Feature {
    pub(super) enabled: Valid<bool>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Registry {
    pub(super) hostname_pattern: Option<Valid<HostPattern>>,
    pub(super) endpoint: Option<Valid<Endpoint>>,
    pub(super) secret: Option<Section<Secret>>,
    pub(super) ca_certificate_paths: Option<List<Valid<PathBuf>>>,
    pub(super) plain_http: Option<Valid<bool>>,
    pub(super) max_concurrent_requests: Option<Valid<NonZeroUsize>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Secret {
    pub(super) r#type: Option<Valid<SecretType>>,
    pub(super) mount_path: Option<Valid<PathBuf>>,
    pub(super) username: Option<Valid<Username>>,
    pub(super) token: Option<Valid<SecretText>>,
    pub(super) token_file: Option<Valid<PathBuf>>,
    pub(super) cloud: Option<Valid<Cloud>>,
    pub(super) region: Option<Valid<Region>>,
    pub(super) role_arn: Option<Valid<RoleArn>>,
    /// Only used by the chart.
    #[serde(rename = "name")]
    pub(super) _name: Option<IgnoredAny>,
    /// Only used by the chart.
    #[serde(rename = "key")]
    pub(super) _key: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) ca_certificate_paths: List<Valid<PathBuf>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hints {
    pub(super) port: Valid<NonZeroU16>,
    pub(super) receivers: List<Section<Receiver>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Receiver {
    pub(super) name: Option<Valid<String>>,
    pub(super) r#type: Option<Valid<Sender>>,
    pub(super) secret_file: Option<Valid<PathBuf>>,
    pub(super) previous_secret_file: Option<Valid<PathBuf>>,
    pub(super) images: Option<List<Valid<String>>>,
    pub(super) may_wait: Option<Valid<bool>>,
    pub(super) oidc: Option<Section<Oidc>>,
    pub(super) registry_host: Option<Valid<String>>,
    pub(super) repository_prefix: Option<Valid<String>>,
    pub(super) repositories: Option<BTreeMap<String, Valid<String>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Oidc {
    pub(super) issuer: Option<Valid<String>>,
    pub(super) audience: Option<Valid<String>>,
    pub(super) claims: Option<BTreeMap<String, Valid<String>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Notifications {
    pub(super) cluster: Valid<String>,
    pub(super) sinks: List<Section<Sink>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sink {
    pub(super) name: Option<Valid<String>>,
    pub(super) r#type: Option<Valid<SinkType>>,
    pub(super) url: Option<Valid<SecretText>>,
    pub(super) url_file: Option<Valid<PathBuf>>,
    pub(super) secret_file: Option<Valid<String>>,
    pub(super) events: Option<List<Valid<Event>>>,
    pub(super) namespaces: Option<List<Valid<String>>>,
    pub(super) group: Option<Valid<Group>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FeatureFlags {
    pub(super) enable_jfrog_artifactory_fallback: Valid<bool>,
    pub(super) enable_kubectl_annotation: Valid<bool>,
}

/// A mapping. The derived implementation alone would also accept a list of the values.
pub(super) struct Section<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SectionVisitor(PhantomData))
    }
}

struct SectionVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SectionVisitor<T> {
    type Value = Section<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Section<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Section)
    }
}

/// The entries of the list at `path` that have a value, with their paths.
pub(super) fn entries<T>(
    list: impl IntoIterator<Item = Option<T>>,
    path: &KeyPath,
) -> impl Iterator<Item = (KeyPath, T)> {
    (0..)
        .zip(list)
        .filter_map(|(index, entry)| Some((path.index(index), entry?)))
}

/// The values of a list.
pub(super) fn values<T>(list: List<Valid<T>>) -> impl Iterator<Item = T> {
    list.into_iter().filter_map(value)
}
