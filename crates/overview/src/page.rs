//! The overview as HTML.
//!
//! A page without scripts. It loads nothing, so that it works with the strictest Content-Security-Policy, and its links are
//! relative, so that it works below any path.

mod row;

use std::io::{self, Write};

use jiff::Timestamp;
use kube_autorollout_core::state::State;

use crate::{
    filter::Filter,
    overview::Overview,
    row::Row,
    text::{Escaped, Visible},
    urgency::urgency,
    view::View,
};

/// The inline style.
const STYLE: &str = include_str!("page/style.css");

/// The documentation of states and reasons.
const MEANING: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/troubleshooting.md"
);

/// The most namespaces in the navigation; those of rows are always linked.
const MAX_NAMESPACES: usize = 300;

/// Names are truncated to this many characters.
const MAX_NAME: usize = 253;

/// Writes HTML.
#[derive(Debug, Default)]
pub struct Page {
    now: Timestamp,
    filter: Filter,
    /// The number of this page.
    number: u32,
    /// The number of pages.
    pages: u32,
    /// Whether a row was written.
    has_rows: bool,
    /// Whether a namespace or state is selected.
    is_filtered: bool,
}

impl Page {
    /// Writes a page with an error message.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn without_rows(why: &str, out: &mut dyn Write) -> io::Result<()> {
        head(out)?;
        let why = Escaped(Visible(why, 500));
        write!(
            out,
            "<h1>kube-autorollout</h1>\n<p class=\"verdict amber\" role=\"alert\">{why}</p>\n\
             <p><a href=\"?\">Try again</a></p>\n</body>\n</html>\n"
        )
    }

    /// The query of a link that changes the filter; by default, to the first page.
    fn link(&self, change: impl FnOnce(&mut Filter)) -> Escaped<String> {
        let mut filter = Filter {
            page: None,
            ..self.filter.clone()
        };
        change(&mut filter);
        let query = filter.query();
        Escaped(if query.is_empty() {
            "?".to_owned()
        } else {
            query
        })
    }

    fn header(&self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        let (class, verdict) = match overview.needs_person {
            0 => ("green", "No workload needs a person".to_owned()),
            1 => ("red", "1 workload needs a person".to_owned()),
            count => ("red", format!("{count} workloads need a person")),
        };
        write!(
            out,
            "<header>\n<h1>kube-autorollout</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n"
        )?;
        if !overview.complete {
            out.write_all(
                b"<p class=\"amber\" role=\"status\">Not all workloads are listed yet.</p>\n",
            )?;
        }
        let leader = Escaped(Visible(&overview.leader, MAX_NAME));
        writeln!(
            out,
            "<p class=\"quiet\">As of {} on <code>{leader}</code>, which leads</p>\n</header>",
            row::Instant(self.now, None)
        )
    }

    fn states(&self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"<nav aria-label=\"States\">\n<ul>\n")?;
        let current = |is_current| {
            if is_current {
                " aria-current=\"true\""
            } else {
                ""
            }
        };
        let all = self.link(|filter| filter.state = None);
        writeln!(
            out,
            "<li><a href=\"{all}\"{}>All {}</a></li>",
            current(self.filter.state.is_none()),
            overview.total(),
        )?;
        let mut states = State::ALL.to_vec();
        states.sort_by_key(|&state| urgency(state, true));
        for state in states {
            let is_current = self.filter.state == Some(state);
            let count = overview.states.get(&state).copied().unwrap_or_default();
            if count > 0 || is_current {
                let (link, class) = (
                    self.link(|filter| filter.state = Some(state)),
                    row::colour(state, false),
                );
                writeln!(
                    out,
                    "<li class=\"{class}\"><a href=\"{link}\"{}>{state} {count}</a></li>",
                    current(is_current),
                )?;
            }
        }
        out.write_all(b"</ul>\n</nav>\n")
    }

    fn namespaces(&self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        if let Some(namespace) = &self.filter.namespace {
            let (namespace, all) = (
                Escaped(Visible(namespace, MAX_NAME)),
                self.link(|filter| filter.namespace = None),
            );
            return writeln!(
                out,
                "<nav aria-label=\"Namespaces\">Namespace <b>{namespace}</b> · <a href=\"{all}\">all namespaces</a></nav>"
            );
        }
        let count = overview.namespaces.len();
        if !(2..=MAX_NAMESPACES).contains(&count) {
            return Ok(());
        }
        writeln!(
            out,
            "<nav aria-label=\"Namespaces\">\n<details>\n<summary>{count} namespaces</summary>\n<ul>"
        )?;
        for (namespace, count) in &overview.namespaces {
            let link = self.link(|filter| filter.namespace = Some((**namespace).into()));
            let namespace = Escaped(Visible(namespace, MAX_NAME));
            writeln!(out, "<li><a href=\"{link}\">{namespace} {count}</a></li>")?;
        }
        out.write_all(b"</ul>\n</details>\n</nav>\n")
    }

    fn pagination(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.pages < 2 {
            return Ok(());
        }
        out.write_all(b"<nav aria-label=\"Pages\">\n<ul>\n")?;
        let link = |page: u32| self.link(|filter| filter.page = Some(page));
        if self.number > 1 {
            let first = self.link(|_| ());
            writeln!(out, "<li><a href=\"{first}\">First</a></li>")?;
            let previous = link(self.number - 1);
            writeln!(
                out,
                "<li><a href=\"{previous}\" rel=\"prev\">Previous</a></li>"
            )?;
        }
        writeln!(
            out,
            "<li><b aria-current=\"page\">Page {} of {}</b></li>",
            self.number, self.pages
        )?;
        if self.number < self.pages {
            let next = link(self.number + 1);
            writeln!(out, "<li><a href=\"{next}\" rel=\"next\">Next</a></li>")?;
            let last = link(self.pages);
            writeln!(out, "<li><a href=\"{last}\">Last</a></li>")?;
        }
        out.write_all(b"</ul>\n</nav>\n")
    }
}

impl View for Page {
    fn begin(&mut self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        *self = Self {
            now: overview.time,
            filter: overview.filter(),
            number: overview.shown.page.unwrap_or(1),
            pages: overview.shown.pages,
            has_rows: false,
            is_filtered: overview.shown.namespace.is_some() || overview.shown.state.is_some(),
        };
        head(out)?;
        self.header(overview, out)?;
        self.states(overview, out)?;
        self.namespaces(overview, out)?;
        out.write_all(b"<main>\n")
    }

    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
        if !self.has_rows {
            self.has_rows = true;
            out.write_all(row::HEAD)?;
        }
        let namespace = self.link(|filter| filter.namespace = Some((*row.namespace).into()));
        row::write(row, &namespace, self.now, out)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.has_rows {
            out.write_all(b"</tbody>\n</table>\n")?;
        } else if self.is_filtered {
            out.write_all(b"<p>No workload matches. <a href=\"?\">Show all</a></p>\n")?;
        } else {
            out.write_all(
                b"<p>No workload is selected. Label one: <code>kubectl label deploy/web kube-autorollout/enabled=true</code></p>\n",
            )?;
        }
        self.pagination(out)?;
        let json = Escaped(self.filter.query());
        writeln!(
            out,
            "</main>\n<footer><a href=\"{MEANING}\" rel=\"noreferrer\">States and reasons</a> · <a href=\"status.json{json}\">JSON</a> · \
             kube-autorollout {}</footer>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION")
        )
    }
}

fn head(out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>kube-autorollout</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    )
}
