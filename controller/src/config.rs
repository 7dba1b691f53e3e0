//! The configuration: what users write in a file and in the environment, checked as a whole.
//!
//! Layers, the later the higher: defaults, the file, the environment. Everything that is wrong is told at once, with
//! its place; a secret is never part of a message.

mod effective;
mod environment;
mod files;
mod interpolate;
mod layers;
mod log;
mod namespaces;
mod node;
mod problem;
mod reader;
mod registries;
mod rollouts;
mod schema;
mod yaml;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, num::NonZeroU16, path::Path};

use jiff::tz::TimeZone;
use kube_autorollout_core::{
    platform::{Platform, Platforms},
    schedule::Schedule,
};

pub(crate) use self::{
    files::CaFile,
    log::{LogFormat, LogLevel},
    namespaces::Namespaces,
    problem::Problems,
    registries::{RegistryEntry, Secret, TokenSource},
    rollouts::Rollouts,
};
use self::{node::Node, reader::Reader};

const PORT: &str = "a whole number from 1 to 65535";
const CRON: &str = "a cron expression of 5 or 6 fields, or a nickname such as @hourly";
const INTERVAL: &str = "one whole number and s, m or h, from 1s to 24h";
const PLATFORM: &str = "os/architecture or os/architecture/variant";

/// What the controller is told to do.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// How often workloads are checked that do not say it themselves.
    pub(crate) schedule: Schedule,
    /// In which cron expressions are read, those of workloads too.
    pub(crate) zone: TimeZone,
    /// Which log lines are written.
    pub(crate) log_level: LogLevel,
    /// How log lines are written.
    pub(crate) log_format: LogFormat,
    /// Where health and metrics are served.
    pub(crate) port: NonZeroU16,
    /// Where workloads are watched.
    pub(crate) namespaces: Namespaces,
    /// What counts of an index; every platform stands for no answer here.
    pub(crate) platforms: Platforms,
    /// What keeps rollouts from becoming a storm.
    pub(crate) rollouts: Rollouts,
    /// Whether only one of several replicas acts.
    pub(crate) leader_election: bool,
    /// How to talk to registries; the first that matches counts.
    pub(crate) registries: Vec<RegistryEntry>,
    /// Trusted for every registry besides the public roots.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// Whether a rollout is marked as `kubectl rollout restart` does it.
    pub(crate) kubectl_annotation: bool,
    /// Whether manifests of an Artifactory are also looked for at its native address.
    pub(crate) artifactory_fallback: bool,
}

/// A configuration that can be used, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// To be logged; none of them stops the start.
    pub(crate) warnings: Vec<String>,
    /// All values in force, in the file's words and without secrets; to be logged.
    pub(crate) effective: serde_json::Value,
}

/// Reads the file, if there is one, and the environment.
///
/// # Errors
///
/// [`Problems`], with everything that is wrong: syntax, unknown keys, values that are not allowed, variables that are
/// not set, and files that cannot be read.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let file = file.and_then(|path| layers::file(path, &mut problems));
    let variables = environment::layers(environment, &mut problems, &mut warnings);
    let merged = layers::merge(file, variables, &mut problems);

    let mut reader = Reader::new(&merged, environment);
    let root = reader.root();
    reader.check_keys(&root, schema::KEYS);
    let config = config(&mut reader, &root);

    let (found, remarks) = reader.finish();
    problems.extend(found);
    warnings.extend(remarks);
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            config,
            warnings,
            effective: effective::effective(&merged.root),
        }),
        _ => Err(Problems::from(problems)),
    }
}

fn config(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<Config> {
    let section = |name: &str, key: &str| root.get(name)?.get(key);
    let zone = root
        .get("timeZone")
        .and_then(|node| time_zone(reader, &node));
    let schedule = schedule(reader, root, zone.as_ref());
    let log_level = root
        .get("logLevel")
        .and_then(|node| log::level(reader, &node));
    let log_format = root
        .get("logFormat")
        .and_then(|node| log::format(reader, &node));
    let port = section("webserver", "port").and_then(|node| {
        reader.number(&node, PORT, |port| {
            u16::try_from(port).ok().and_then(NonZeroU16::new)
        })
    });
    let namespaces =
        section("watch", "namespaces").and_then(|node| namespaces::read(reader, &node));
    let platforms = root
        .get("platforms")
        .and_then(|node| platforms(reader, &node));
    let rollouts = root
        .get("rollouts")
        .and_then(|node| rollouts::read(reader, &node));
    let leader_election = section("leaderElection", "enabled").and_then(|node| reader.flag(&node));
    let registries = root
        .get("registries")
        .and_then(|node| registries::read(reader, &node));
    let ca_certificates =
        section("tls", "caCertificatePaths").and_then(|node| files::certificates(reader, &node));
    let kubectl_annotation =
        section("featureFlags", "enableKubectlAnnotation").and_then(|node| reader.flag(&node));
    let artifactory_fallback = section("featureFlags", "enableJfrogArtifactoryFallback")
        .and_then(|node| reader.flag(&node));
    Some(Config {
        schedule: schedule?,
        zone: zone?,
        log_level: log_level?,
        log_format: log_format?,
        port: port?,
        namespaces: namespaces?,
        platforms: platforms?,
        rollouts: rollouts?,
        leader_election: leader_election?,
        registries: registries?,
        ca_certificates: ca_certificates?,
        kubectl_annotation: kubectl_annotation?,
        artifactory_fallback: artifactory_fallback?,
    })
}

fn time_zone(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<TimeZone> {
    let allowed = "an IANA name, such as Europe/Berlin";
    reader.choose(node, allowed, |name| TimeZone::get(name).ok())
}

/// Reads both keys, as both may be wrong. That only one is left is the layers' care.
fn schedule(reader: &mut Reader<'_>, root: &Node<'_>, zone: Option<&TimeZone>) -> Option<Schedule> {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC); // unknown, and told so: the fields are still checked
    let cron = root
        .get("cronSchedule")
        .and_then(|node| reader.parse(&node, CRON, |text| Schedule::parse_cron(text, &zone)));
    let interval = root
        .get("interval")
        .and_then(|node| reader.parse(&node, INTERVAL, Schedule::parse_interval));
    interval.or(cron)
}

fn platforms(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Platforms> {
    let platforms = reader.each(node, |reader, entry| {
        reader.parse(entry, PLATFORM, str::parse::<Platform>)
    })?;
    Some(if platforms.is_empty() {
        Platforms::Every
    } else {
        Platforms::Of(platforms)
    })
}
