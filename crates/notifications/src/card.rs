//! Messages for people, before they are rendered for a service.

use std::fmt::Write as _;

use http::Uri;
use kube_autorollout_core::{labels::readable, short};

use crate::{
    message::Message,
    notice::{Container, Notice, Version, distinct},
};

/// Names, images and details are truncated to this many characters.
const MAX_TEXT: usize = 300;

/// Labels of images and the name of the cluster are truncated to this many characters.
pub(crate) const MAX_LABEL: usize = 100;

/// The most changes of images that are listed.
const MAX_CHANGES: usize = 10;

/// The content of a message for people. All texts are truncated and without control characters, but not escaped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// The event, and the image or workload.
    pub(crate) title: String,
    /// The changes of images.
    pub(crate) changes: Vec<Change>,
    /// One line for each workload, and one with the number of further ones.
    pub(crate) workloads: Vec<String>,
    /// The details of a single event.
    pub(crate) detail: Option<String>,
    /// The cluster and the time.
    pub(crate) footer: String,
    /// Whether a person may have to act.
    pub(crate) is_problem: bool,
}

/// An image that changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The versions, with the image unless it is in the title.
    pub(crate) text: String,
    /// The `https` URL of its source.
    pub(crate) source: Option<String>,
}

impl Card {
    /// The card of a message, with at most `max_workloads` lines for workloads.
    pub(crate) fn of(message: &Message, cluster: &str, max_workloads: usize) -> Self {
        let images = images(message);
        let mut changes = Vec::new();
        for container in message.notices().flat_map(|notice| &notice.containers) {
            let change = Change::of(container, images.len() > 1);
            if let Some(change) = change.filter(|change| !changes.contains(change)) {
                changes.push(change);
            }
        }
        if changes.len() > MAX_CHANGES {
            let more = changes.split_off(MAX_CHANGES).len();
            changes.push(Change {
                text: format!("and {more} more"),
                source: None,
            });
        }
        let single = message.count() == 1;
        let registries = registries(message).len();
        let lines = message
            .notices()
            .map(|notice| line(notice, single, registries > 1));
        let mut workloads: Vec<_> = lines.take(max_workloads).collect();
        let more = message.count() - workloads.len();
        if more > 0 {
            workloads.push(format!("and {more} more"));
        }
        let detail = message
            .first
            .detail
            .as_deref()
            .filter(|_| single || registries == 1);
        Self {
            title: title(message, &images),
            changes,
            workloads,
            detail: detail
                .and_then(|detail| readable(detail, MAX_TEXT))
                .map(String::from),
            footer: footer(message, cluster),
            is_problem: message.event.is_problem(),
        }
    }

    /// All lines after the title.
    pub(crate) fn lines(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| change.text.clone());
        changes
            .chain(self.workloads.iter().cloned())
            .chain(self.detail.clone())
            .chain([self.footer.clone()])
            .collect()
    }
}

impl Change {
    fn of(container: &Container, with_image: bool) -> Option<Self> {
        let to = container.to.as_ref()?;
        let mut text = String::new();
        if with_image {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}: ", shown(&container.image));
        }
        text.push_str(&versions(container.from.as_ref(), to));
        let labels = to.labels.as_deref();
        let revision = labels.and_then(|labels| labels.revision.as_deref());
        if let Some(commit) = revision.and_then(commit) {
            let _ = write!(text, ", commit {commit}");
        }
        let source = labels.and_then(|labels| labels.source.as_deref());
        Some(Self {
            text,
            source: source.filter(|source| is_link(source)).map(str::to_owned),
        })
    }
}

/// `Rolled out: ghcr.io/team/web:main`, with the number of workloads if there are several.
fn title(message: &Message, images: &[&str]) -> String {
    let event = message.event.title();
    let subject = match (registries(message).as_slice(), images) {
        ([registry], _) => shown(registry),
        ([], [image]) => shown(image),
        ([], []) => return format!("{event}: {}", workloads(message)),
        ([], images) => format!("{} images", images.len()),
        (registries, _) => format!("{} registries", registries.len()),
    };
    match message.count() {
        1 => format!("{event}: {subject}"),
        _ => format!("{event}: {subject}: {}", workloads(message)),
    }
}

fn workloads(message: &Message) -> String {
    match message.count() {
        1 => name(&message.first),
        count => format!("{count} workloads"),
    }
}

/// The distinct images of a message.
fn images(message: &Message) -> Vec<&str> {
    distinct(message.notices().flat_map(Notice::images))
}

/// The distinct registries that rejected a credential.
fn registries(message: &Message) -> Vec<&str> {
    let refused = message
        .notices()
        .filter_map(|notice| notice.refused.as_ref());
    distinct(refused.map(|refused| refused.registry.as_str()))
}

/// `Deployment web/web after 41 s`.
fn line(notice: &Notice, single: bool, with_registry: bool) -> String {
    let mut line = name(notice);
    if let Some(refused) = &notice.refused {
        line = format!("found at {line}");
        if with_registry {
            line = format!("{}, {line}", shown(&refused.registry));
        }
    }
    if let Some(took) = notice.took {
        let _ = write!(line, " after {} s", took.as_secs());
    }
    if let Some(reason) = notice.reason {
        let _ = write!(line, ": {reason}");
    }
    if single && let [container] = notice.containers.as_slice() {
        let _ = write!(line, " (container {})", shown(&container.name));
    }
    line
}

fn name(notice: &Notice) -> String {
    let workload = &notice.workload;
    let names = format!("{} {}/{}", workload.kind, workload.namespace, workload.name);
    shown(&names)
}

/// `prod, 2026-01-01 00:00:00Z`.
fn footer(message: &Message, cluster: &str) -> String {
    let at = message.at().strftime("%Y-%m-%d %H:%M:%SZ");
    match readable(cluster, MAX_LABEL) {
        Some(cluster) => format!("{cluster}, {at}"),
        None => at.to_string(),
    }
}

/// `1.4.2 → 1.4.3`; with digests if versions are unknown or equal.
fn versions(from: Option<&Version>, to: &Version) -> String {
    let (was, is) = (from.and_then(version), version(to));
    let digest = short::digest(&to.digest);
    match (from, was, is) {
        (_, Some(was), Some(is)) if was != is => format!("{was} → {is}"),
        (Some(from), _, Some(is)) => format!("{is} ({} → {digest})", short::digest(&from.digest)),
        (Some(from), _, None) => format!("{} → {digest}", short::digest(&from.digest)),
        (None, _, Some(is)) => format!("{is} ({digest})"),
        (None, _, None) => digest,
    }
}

fn version(version: &Version) -> Option<Box<str>> {
    let labels = version.labels.as_ref()?;
    readable(labels.version.as_deref()?, MAX_LABEL)
}

/// An abbreviated commit, or another revision as it is.
fn commit(revision: &str) -> Option<Box<str>> {
    let is_hash = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Some(short::prefix(revision).into());
    }
    readable(revision, MAX_LABEL)
}

/// Whether the source can be shown as a link, by the rule of `ImageLabels`.
pub(crate) fn is_link(source: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'|');
    let is_url = source.parse::<Uri>().is_ok_and(|url| url.host().is_some());
    source.len() <= MAX_LABEL
        && source.starts_with("https://")
        && source.bytes().all(allowed)
        && is_url
}

/// The text, truncated and without control characters.
fn shown(text: &str) -> String {
    readable(text, MAX_TEXT)
        .map(String::from)
        .unwrap_or_default()
}
