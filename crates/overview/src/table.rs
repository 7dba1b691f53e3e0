//! The overview as text for terminals.

use std::io::{self, Write};

use jiff::Timestamp;
use kube_autorollout_core::state::State;

use crate::{
    age::{Relative, between},
    overview::Overview,
    row::{Container, Image, Row},
    text::{Visible, short_digest},
};

/// The longest cell, in characters, except images.
const MAX_CELL: usize = 48;

/// The longest image, in characters.
const MAX_IMAGE: usize = 200;

/// The level of detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// The columns that show problems.
    #[default]
    Normal,
    /// All columns.
    Wide,
}

/// Writes aligned text, with a line for each container. Unlike the other views, it needs all rows at once to align columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Table {
    /// The level of detail.
    pub detail: Detail,
    /// Whether to write colour escape sequences.
    pub coloured: bool,
}

/// The title of a column, and whether it is only shown in [`Detail::Wide`].
type Column = (&'static str, bool);

const COLUMNS: [Column; 12] = [
    ("NAMESPACE", false),
    ("WORKLOAD", false),
    ("CONTAINER", false),
    ("STATE", false),
    ("REASON", false),
    ("SINCE", false),
    ("RUNS", false),
    ("TAG", false),
    ("IMAGE", true),
    ("LAST ROLLOUT", true),
    ("NEXT CHECK", true),
    ("NEXT ATTEMPT", true),
];

/// The index of the coloured column.
const STATE: usize = 3;

/// An additional column if pins are enabled.
const PINNED: Column = ("PINNED", true);

/// Shown for unknown values.
const UNKNOWN: &str = "-";

/// The gap between columns, in characters.
const GAP: usize = 3;

/// The cells of a line; `None` if unknown.
type Cells = Vec<Option<String>>;

impl Table {
    /// Writes an overview with its rows.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        let rows = &overview.workloads;
        let has_pins = rows.iter().any(|row| row.pinned.is_some());
        let columns = COLUMNS.into_iter().chain(has_pins.then_some(PINNED));
        let shown = columns.filter(|(_, is_wide)| !is_wide || self.detail == Detail::Wide);
        let titles: Cells = shown.map(|(title, _)| Some(title.to_owned())).collect();
        let lines = || rows.iter().flat_map(lines);
        let cells = |(row, container)| self.cells(row, container, overview.time);
        let mut widths: Vec<usize> = titles.iter().map(width).collect();
        for line in lines() {
            for (widest, cell) in widths.iter_mut().zip(cells(line)) {
                *widest = (*widest).max(width(&cell));
            }
        }
        if !rows.is_empty() {
            self.line(&titles, &widths, None, out)?;
        }
        for line in lines() {
            let (row, _) = line;
            let colour = colour_of(row.state, row.needs_person);
            self.line(&cells(line), &widths, colour, out)?;
        }
        self.summary(overview, out)
    }

    fn cells(self, row: &Row<'_>, container: Option<&Container<'_>>, now: Timestamp) -> Cells {
        let name = |text: &str| Some(Visible(text, MAX_CELL).to_string());
        let running = container.map_or(&[][..], |container| &container.running);
        let tag = container.and_then(|container| container.tag.as_ref());
        let decided_by_other = row
            .container
            .as_ref()
            .zip(container)
            .is_some_and(|(decided, container)| *decided != container.name);
        let reason = row.reason.filter(|_| !decided_by_other);
        let mut cells = vec![
            name(&row.namespace),
            name(&format!("{}/{}", row.kind, row.name)),
            container.and_then(|container| name(&container.name)),
            Some(row.state.to_string()),
            reason.map(|reason| reason.to_string()),
            row.since.map(|since| between(since, now).to_string()),
            runs(running, tag),
            tag.and_then(short_name),
        ];
        if self.detail == Detail::Wide {
            let image = container.map(|container| Visible(&container.image, MAX_IMAGE));
            cells.push(image.map(|image| image.to_string()));
            let instants = [row.last_rollout, row.next_check, row.next_attempt];
            let relative = |then| Relative { then, now }.to_string();
            cells.extend(instants.map(|instant| instant.map(relative)));
            let pinned = |pinned: bool| if pinned { "yes" } else { "no" }.to_owned();
            cells.extend(row.pinned.map(|is_pinned| Some(pinned(is_pinned))));
        }
        cells
    }

    fn line(
        self,
        cells: &[Option<String>],
        widths: &[usize],
        colour: Option<&str>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, widest)) in cells.iter().zip(widths).enumerate() {
            let text = cell.as_deref().unwrap_or(UNKNOWN);
            match colour.filter(|_| self.coloured && index == STATE) {
                Some(colour) => line.extend(["\u{1b}[", colour, "m", text, "\u{1b}[0m"]),
                None => line.push_str(text),
            }
            let padding = widest.saturating_sub(width(cell)) + GAP;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        writeln!(out, "{}", line.trim_end())
    }

    /// Writes the number of workloads, and how many need human intervention.
    fn summary(self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        let namespace = overview.shown.namespace.as_deref();
        let of_namespace = namespace.map_or_else(String::new, |namespace| {
            format!(" in namespace {}", Visible(namespace, MAX_CELL))
        });
        match overview.total() {
            0 => writeln!(
                out,
                "No workload{of_namespace} is selected by the label kube-autorollout/enabled=true"
            )?,
            total => {
                let workloads = if total == 1 { "workload" } else { "workloads" };
                let (verdict, colour) = match overview.needs_person {
                    0 => ("none needs a person".to_owned(), "32"),
                    1 => ("1 needs a person".to_owned(), "31"),
                    count => (format!("{count} need a person"), "31"),
                };
                let (begin, end) = if self.coloured {
                    (format!("\u{1b}[{colour}m"), "\u{1b}[0m")
                } else {
                    (String::new(), "")
                };
                writeln!(
                    out,
                    "\n{total} {workloads}{of_namespace}, {begin}{verdict}{end}"
                )?;
            }
        }
        if !overview.complete {
            writeln!(out, "Not all workloads are listed yet")?;
        }
        Ok(())
    }
}

/// The lines of a row: one for each container, at least one.
fn lines<'a>(row: &'a Row<'a>) -> impl Iterator<Item = (&'a Row<'a>, Option<&'a Container<'a>>)> {
    let containers = row.containers.iter().map(Some);
    let none = row.containers.is_empty().then_some(None);
    containers
        .chain(none)
        .map(move |container| (row, container))
}

#[expect(
    clippy::ref_option,
    reason = "iterators of cells yield references to options"
)]
fn width(cell: &Option<String>) -> usize {
    cell.as_deref().unwrap_or(UNKNOWN).chars().count()
}

/// The colour of a state, as the parameter of an escape sequence.
const fn colour_of(state: State, needs_person: bool) -> Option<&'static str> {
    match (state, needs_person) {
        (_, true) | (State::NotConverging | State::InvalidConfiguration, _) => Some("31"),
        (State::Unknown | State::Outdated | State::Held, _) => Some("33"),
        (State::RollingOut, _) => Some("36"),
        (State::UpToDate, _) => Some("32"),
        (State::Paused | State::Skipped, _) => None,
    }
}

/// The newest running image of a container, and the number of others.
fn runs(running: &[Image<'_>], tag: Option<&Image<'_>>) -> Option<String> {
    let (newest, others) = running.split_first()?;
    // If it is the image of the tag, the labels of the tag apply.
    let same = tag.filter(|tag| tag.digest == newest.digest);
    let name = short_name(same.unwrap_or(newest))?;
    Some(match others.len() {
        0 => name,
        count => format!("{name} +{count}"),
    })
}

/// The version of an image, or its abbreviated digest.
fn short_name(image: &Image<'_>) -> Option<String> {
    let digest = image.digest.as_deref().map(short_digest);
    let name = image.version.as_deref().or(digest)?;
    Some(Visible(name, MAX_CELL).to_string())
}
