//! The overview as JSON.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

use crate::{overview::Overview, row::Row, view::View};

/// The end of the JSON of an overview without rows, which is written after the rows.
const END: &[u8] = b"]}";

/// Writes JSON, one line per row. It is ASCII, because terminals interpret some other characters.
#[derive(Debug, Default)]
pub struct Json {
    /// Whether a row was written.
    has_rows: bool,
}

impl Json {
    /// Writes an overview with its own rows.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_whole(
        &mut self,
        mut overview: Overview<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let rows = std::mem::take(&mut overview.workloads);
        self.write(&overview, rows, out)
    }
}

impl View for Json {
    fn begin(&mut self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut head = Vec::new();
        let without_rows;
        let overview = if overview.workloads.is_empty() {
            overview
        } else {
            without_rows = Overview {
                workloads: Vec::new(),
                ..overview.clone()
            };
            &without_rows
        };
        write(overview, &mut head)?;
        self.has_rows = false;
        out.write_all(head.strip_suffix(END).unwrap_or(&head))
    }

    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.has_rows { b",\n" } else { b"\n" })?;
        self.has_rows = true;
        write(row, out)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n")?;
        out.write_all(END)?;
        out.write_all(b"\n")
    }
}

fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Ascii);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// Escapes all but printable ASCII.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let is_plain = |letter: char| matches!(letter, ' '..='~');
        // The serializer escapes the other control characters itself
        if fragment.is_ascii() && !fragment.contains('\u{7f}') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(|letter| !is_plain(letter)) {
            let (plain, other) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut letters = other.chars();
            let mut units = [0; 2];
            for unit in letters.next().unwrap_or_default().encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = letters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use kube_autorollout_core::state::State;
    use proptest::prelude::*;

    use super::*;
    use crate::row::Container;

    fn written(rows: Vec<Row<'_>>) -> String {
        let mut out = Vec::new();
        let written = Json::default().write(&Overview::default(), rows, &mut out);
        written.expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn without_rows_it_is_json_as_well() {
        let text = written(Vec::new());
        let read: Overview<'_> = serde_json::from_str(&text).expect("an overview");
        assert_eq!(read, Overview::default());
    }

    proptest! {
        #[test]
        fn it_is_ascii_and_read_back_as_it_was(names in proptest::collection::vec(".*", 0..4)) {
            let rows: Vec<_> = names
                .iter()
                .map(|name| Row {
                    containers: vec![Container::new("app", name)],
                    ..Row::new("shop", "Deployment", &**name, State::UpToDate)
                })
                .collect();
            let text = written(rows.clone());
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{text}");
            let read: Overview<'_> = serde_json::from_str(&text).expect("an overview");
            prop_assert_eq!(read.workloads, rows);
        }
    }
}
