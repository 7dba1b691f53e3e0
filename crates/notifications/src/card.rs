//! What people read, before it has the form of a service.

use std::fmt::Write as _;

use http::Uri;
use kube_autorollout_core::{labels::readable, short};

use crate::{
    message::Message,
    notice::{Container, Notice, Version},
};

/// Characters of a name, an image, a version or a reason; more is cut off.
const LONGEST: usize = 300;

/// Characters of a label of an image and of the name of a cluster; more is cut off.
pub(crate) const LABEL: usize = 100;

/// Changes of images that are listed.
const CHANGES: usize = 10;

/// What people read of a message. All its texts are short and without control characters; none of them is escaped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// What happened, and to what.
    pub(crate) title: String,
    /// Which images changed from what to what.
    pub(crate) changes: Vec<Change>,
    /// One line for each workload.
    pub(crate) workloads: Vec<String>,
    /// How many more workloads there are.
    pub(crate) more: usize,
    /// More about a single event.
    pub(crate) detail: Option<String>,
    /// Where and when.
    pub(crate) place: String,
    /// Whether a person may have to act.
    pub(crate) is_problem: bool,
}

/// An image that changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// With the image, unless the title has it.
    pub(crate) text: String,
    /// Where its source is: an `https` URL.
    pub(crate) source: Option<String>,
}

impl Card {
    /// What people read of a message in a `cluster`, with so many workloads at the most.
    pub(crate) fn of(message: &Message, cluster: &str, most: usize) -> Self {
        let images = images(message);
        let mut changes = Vec::new();
        for container in message.notices().flat_map(|notice| &notice.containers) {
            let change = Change::of(container, images.len() > 1);
            if let Some(change) = change.filter(|change| !changes.contains(change)) {
                changes.push(change);
            }
        }
        if changes.len() > CHANGES {
            let more = changes.split_off(CHANGES).len();
            changes.push(Change {
                text: format!("and {more} more"),
                source: None,
            });
        }
        let single = message.count() == 1;
        let lines = message.notices().map(|notice| line(notice, single));
        let workloads: Vec<_> = lines.take(most).collect();
        let detail = message
            .first
            .detail
            .as_deref()
            .filter(|_| single || message.first.refused.is_some());
        Self {
            title: title(message, &images),
            changes,
            more: message.count() - workloads.len(),
            workloads,
            detail: detail
                .and_then(|detail| readable(detail, LONGEST))
                .map(String::from),
            place: place(message, cluster),
            is_problem: message.event.is_problem(),
        }
    }

    /// All but the title, one thing a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| change.text.clone());
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        changes
            .chain(self.workloads.iter().cloned())
            .chain(more)
            .chain(self.detail.clone())
            .chain([self.place.clone()])
            .collect()
    }
}

impl Change {
    fn of(container: &Container, with_image: bool) -> Option<Self> {
        let to = container.to.as_ref()?;
        let mut text = String::new();
        if with_image {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}: ", shown(&container.image, LONGEST));
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

/// `Rolled out: ghcr.io/team/web:main`, with how many workloads there are if that is more than one.
fn title(message: &Message, images: &[&str]) -> String {
    let words = message.event.words();
    let registry = message.first.refused.as_ref();
    let what = match (registry, images) {
        (Some(refused), _) => shown(&refused.registry, LONGEST),
        (None, [image]) => shown(image, LONGEST),
        (None, []) => return format!("{words}: {}", workloads(message)),
        (None, images) => format!("{} images", images.len()),
    };
    match message.count() {
        1 => format!("{words}: {what}"),
        _ => format!("{words}: {what}: {}", workloads(message)),
    }
}

fn workloads(message: &Message) -> String {
    match message.count() {
        1 => name(&message.first),
        count => format!("{count} workloads"),
    }
}

/// The images of a message, each once.
fn images(message: &Message) -> Vec<&str> {
    let mut images: Vec<_> = message.notices().flat_map(Notice::images).collect();
    images.sort_unstable();
    images.dedup();
    images
}

/// `Deployment web/web after 41 s`.
fn line(notice: &Notice, single: bool) -> String {
    let mut line = name(notice);
    if notice.refused.is_some() {
        line = format!("found at {line}");
    }
    if let Some(took) = notice.took {
        let _ = write!(line, " after {} s", took.as_secs());
    }
    if let Some(reason) = notice.reason {
        let _ = write!(line, ": {reason}");
    }
    if single && let [container] = notice.containers.as_slice() {
        let _ = write!(line, " (container {})", shown(&container.name, LONGEST));
    }
    line
}

fn name(notice: &Notice) -> String {
    let workload = &notice.workload;
    let names = format!("{} {}/{}", workload.kind, workload.namespace, workload.name);
    shown(&names, LONGEST)
}

/// `prod, 2026-01-01 00:00:00Z`.
fn place(message: &Message, cluster: &str) -> String {
    let at = message.at().strftime("%Y-%m-%d %H:%M:%SZ");
    match readable(cluster, LABEL) {
        Some(cluster) => format!("{cluster}, {at}"),
        None => at.to_string(),
    }
}

/// `1.4.2 → 1.4.3`; with digests where versions are not known, or do not say the difference.
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
    readable(labels.version.as_deref()?, LABEL)
}

/// A commit as people name it; another revision as it is.
fn commit(revision: &str) -> Option<Box<str>> {
    let is_hash = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Some(short::prefix(revision).into());
    }
    readable(revision, LABEL)
}

/// Whether people can be offered it as a link: only what `ImageLabels` would have read.
pub(crate) fn is_link(source: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'|');
    let is_url = source.parse::<Uri>().is_ok_and(|url| url.host().is_some());
    source.len() <= LABEL && source.starts_with("https://") && source.bytes().all(allowed) && is_url
}

/// The text, short and without control characters.
fn shown(text: &str, longest: usize) -> String {
    readable(text, longest)
        .map(String::from)
        .unwrap_or_default()
}
