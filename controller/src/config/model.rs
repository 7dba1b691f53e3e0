//! The configuration as it is written: its keys, and what each of them may hold.

use std::{collections::BTreeMap, fmt, marker::PhantomData, num::NonZeroU16, path::PathBuf};

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
    scalar::Valid,
    secret::SecretText,
    values::{
        CronExpression, Interval, Limit, NamespaceName, Region, Requests, RoleArn, SecretType,
        Span, Text, Username, Wait,
    },
};

/// A list, with a place for each entry that was left out.
pub(super) type List<T> = Vec<Option<T>>;

/// The top level. What is not optional has a default.
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
    pub(super) pinning: Section<Pinning>,
    pub(super) leader_election: Section<LeaderElection>,
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
    pub(super) min_interval: Valid<Span>,
    pub(super) settle: Valid<Span>,
    pub(super) retry_after: List<Valid<Wait>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pinning {
    pub(super) enabled: Valid<bool>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LeaderElection {
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
    pub(super) max_concurrent_requests: Option<Valid<Requests>>,
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
    /// The chart's word, of no meaning here.
    #[serde(rename = "name")]
    pub(super) _name: Option<IgnoredAny>,
    /// The chart's word, of no meaning here.
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
    pub(super) name: Option<Valid<Text>>,
    pub(super) r#type: Option<Valid<Sender>>,
    pub(super) secret_file: Option<Valid<PathBuf>>,
    pub(super) previous_secret_file: Option<Valid<PathBuf>>,
    pub(super) images: Option<List<Valid<Text>>>,
    pub(super) may_wait: Option<Valid<bool>>,
    pub(super) oidc: Option<Section<Oidc>>,
    pub(super) registry_host: Option<Valid<Text>>,
    pub(super) repository_prefix: Option<Valid<Text>>,
    pub(super) repositories: Option<BTreeMap<String, Valid<Text>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Oidc {
    pub(super) issuer: Option<Valid<Text>>,
    pub(super) audience: Option<Valid<Text>>,
    pub(super) claims: Option<BTreeMap<String, Valid<Text>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Notifications {
    pub(super) cluster: Valid<Text>,
    pub(super) sinks: List<Section<Sink>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sink {
    pub(super) name: Option<Valid<Text>>,
    pub(super) r#type: Option<Valid<SinkType>>,
    pub(super) url: Option<Valid<SecretText>>,
    pub(super) url_file: Option<Valid<PathBuf>>,
    pub(super) secret_file: Option<Valid<Text>>,
    pub(super) events: Option<List<Valid<Event>>>,
    pub(super) namespaces: Option<List<Valid<Text>>>,
    pub(super) group: Option<Valid<Group>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FeatureFlags {
    pub(super) enable_jfrog_artifactory_fallback: Valid<bool>,
    pub(super) enable_kubectl_annotation: Valid<bool>,
}

/// A mapping of keys; serde by itself would also take a list of values without them.
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

/// The entries of a list with their places, without those left out.
pub(super) fn entries<T>(
    list: impl IntoIterator<Item = Option<T>>,
    path: &KeyPath,
) -> impl Iterator<Item = (KeyPath, T)> {
    (0..)
        .zip(list)
        .filter_map(|(index, entry)| Some((path.index(index), entry?)))
}

/// The values of a list, without those left out.
pub(super) fn values<T>(list: List<Valid<T>>) -> impl Iterator<Item = T> {
    list.into_iter().flatten().map(|Valid(value)| value)
}
