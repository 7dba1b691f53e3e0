//! The interface of views.

use std::io::{self, Write};

use crate::{overview::Overview, row::Row};

/// A representation of an overview, written row by row, so that it is never in memory as a whole.
pub trait View: Send {
    /// Writes everything before the rows. The rows of `overview` are ignored.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn begin(&mut self, overview: &Overview<'_>, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the next row.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()>;

    /// Writes everything after the rows.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes an overview with `rows`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn write<'r>(
        &mut self,
        overview: &Overview<'_>,
        rows: impl IntoIterator<Item = Row<'r>>,
        out: &mut dyn Write,
    ) -> io::Result<()>
    where
        Self: Sized,
    {
        self.begin(overview, out)?;
        for row in rows {
            self.row(&row, out)?;
        }
        self.end(out)
    }
}
