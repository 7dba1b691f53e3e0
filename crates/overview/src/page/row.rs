//! The rows of the page.

use std::{
    fmt,
    io::{self, Write},
};

use jiff::Timestamp;
use kube_autorollout_core::state::State;

use super::{MAX_NAME, MEANING};
use crate::{
    age::{Relative, between},
    row::{Container, Image, Row},
    text::{Escaped, Visible, short_digest},
};

/// The head of the table.
pub(super) const HEAD: &[u8] = b"<table>\n<thead>\n<tr><th scope=\"col\">Workload</th><th scope=\"col\">State</th>\
    <th scope=\"col\">Images</th><th scope=\"col\">Last rollout</th><th scope=\"col\">Next check</th></tr>\n</thead>\n<tbody>\n";

/// Images are truncated to this many characters.
const MAX_IMAGE: usize = 160;

/// Labels are truncated to this many characters.
const MAX_LABEL: usize = 100;

/// The CSS class of a state.
pub(super) const fn colour(state: State, needs_person: bool) -> &'static str {
    match (state, needs_person) {
        (_, true) | (State::NotConverging | State::InvalidConfiguration, _) => "red",
        (State::Unknown | State::Outdated | State::Held, _) => "amber",
        (State::RollingOut, _) => "blue",
        (State::UpToDate, _) => "green",
        (State::Paused | State::Skipped, _) => "grey",
    }
}

/// An instant as HTML: to the second, or relative to the current time, if there is one.
pub(super) struct Instant(pub(super) Timestamp, pub(super) Option<Timestamp>);

impl fmt::Display for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(then, now) = *self;
        let whole = Timestamp::from_second(then.as_second()).unwrap_or(then);
        match now {
            Some(now) => {
                let relative = Relative { then, now };
                write!(
                    formatter,
                    "<time datetime=\"{whole}\" title=\"{whole}\">{relative}</time>"
                )
            }
            None => write!(
                formatter,
                "<time datetime=\"{whole}\">{}</time>",
                whole.strftime("%Y-%m-%d %H:%M:%S UTC")
            ),
        }
    }
}

/// Writes a row.
pub(super) fn write(
    row: &Row<'_>,
    namespace: &impl fmt::Display,
    now: Timestamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let name = |name| Escaped(Visible(name, MAX_NAME));
    let class = if row.needs_person {
        " class=\"person\""
    } else {
        ""
    };
    writeln!(
        out,
        "<tr{class}><th scope=\"row\">{} <small>{} in <a href=\"{namespace}\">{}</a></small></th>",
        name(&row.name),
        name(&row.kind),
        name(&row.namespace),
    )?;
    state(row, now, out)?;
    out.write_all(b"<td>")?;
    for container in &row.containers {
        images(container, out)?;
    }
    out.write_all(b"</td>\n")?;
    out.write_all(b"<td data-of=\"Last rollout\">")?;
    time(row.last_rollout, now, out)?;
    if let Some(pinned) = row.pinned {
        let pinned = if pinned { "pinned" } else { "not pinned" };
        write!(out, " <small>{pinned}</small>")?;
    }
    out.write_all(b"</td>\n<td data-of=\"Next check\">")?;
    time(row.next_check, now, out)?;
    if let Some(attempt) = row.next_attempt {
        let attempt = Instant(attempt, Some(now));
        write!(out, " <small>next attempt {attempt}</small>")?;
    }
    out.write_all(b"</td></tr>\n")
}

/// Writes the state, its reason, container and age.
fn state(row: &Row<'_>, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let (state, colour) = (row.state, colour(row.state, row.needs_person));
    let anchor = state.as_str().to_ascii_lowercase();
    write!(
        out,
        "<td><span class=\"state {colour}\"><a href=\"{MEANING}#{anchor}\" rel=\"noreferrer\">{state}</a></span>"
    )?;
    if let Some(reason) = row.reason {
        write!(out, " <small>{reason}")?;
        if let Some(container) = row
            .container
            .as_deref()
            .filter(|_| row.containers.len() > 1)
        {
            let container = Escaped(Visible(container, MAX_NAME));
            write!(out, " of <code>{container}</code>")?;
        }
        out.write_all(b"</small>")?;
    }
    match (row.since, row.last_check) {
        (Some(since), _) => {
            let instant = Timestamp::from_second(since.as_second()).unwrap_or(since);
            let age = between(since, now);
            write!(
                out,
                " <small>for <time datetime=\"{instant}\" title=\"since {instant}\">{age}</time></small>"
            )?;
        }
        (None, None) => out.write_all(b" <small>not checked yet</small>")?,
        (None, Some(_)) => {}
    }
    out.write_all(b"</td>\n")
}

fn time(then: Option<Timestamp>, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    match then {
        Some(then) => write!(out, "{}", Instant(then, Some(now))),
        None => out.write_all("–".as_bytes()),
    }
}

/// Writes the running images of a container and that of its tag: a single line if they are the same.
fn images(container: &Container<'_>, out: &mut dyn Write) -> io::Result<()> {
    let name = Escaped(Visible(&container.name, MAX_NAME));
    let image = Escaped(Visible(&container.image, MAX_IMAGE));
    write!(out, "<p>{name} <code>{image}</code></p><dl>")?;
    let tag = container.tag.as_ref();
    let is_same = |tag: &Image<'_>| match container.running.as_slice() {
        [only] => only.digest == tag.digest,
        _ => false,
    };
    let same = tag.filter(|tag| is_same(tag));
    for running in &container.running {
        let pods = running.pods.unwrap_or_default();
        let noun = if pods == 1 { "pod" } else { "pods" };
        // If it is the image of the tag, the labels of the tag apply.
        let shown = same.unwrap_or(running);
        write!(out, "<dt>runs</dt><dd>")?;
        digest(shown, out)?;
        write!(out, " <span class=\"quiet\">on {pods} {noun}</span></dd>")?;
    }
    if same.is_none() {
        out.write_all(b"<dt>tag</dt><dd>")?;
        match tag {
            Some(tag) => digest(tag, out)?,
            None => out.write_all(b"<span class=\"quiet\">not known</span>")?,
        }
        out.write_all(b"</dd>")?;
    }
    out.write_all(b"</dl>")
}

/// Writes the version of an image, if it is known, and its digest.
fn digest(image: &Image<'_>, out: &mut dyn Write) -> io::Result<()> {
    let label = |label| Escaped(Visible(label, MAX_LABEL));
    if let Some(version) = image.version.as_deref() {
        let version = label(version);
        let source = image.source.as_deref();
        match source.filter(|source| source.starts_with("https://")) {
            Some(source) => {
                let source = Escaped(Visible(source, MAX_LABEL));
                write!(
                    out,
                    "<a href=\"{source}\" rel=\"noreferrer nofollow\">{version}</a> "
                )?;
            }
            None => write!(out, "{version} ")?,
        }
    }
    match image.digest.as_deref() {
        Some(digest) => {
            let (whole, short) = (label(digest), label(short_digest(digest)));
            write!(out, "<code title=\"{whole}\">{short}</code>")?;
        }
        None => out.write_all(b"<span class=\"quiet\">no digest</span>")?,
    }
    if let Some(revision) = image.revision.as_deref() {
        // The length of Git's abbreviations
        let short = revision.get(..7).unwrap_or(revision);
        let (whole, short) = (label(revision), label(short));
        write!(
            out,
            " <span class=\"quiet\" title=\"{whole}\">{short}</span>"
        )?;
    }
    Ok(())
}
