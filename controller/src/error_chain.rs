//! An error with all its causes, in one line.

use std::{error::Error, fmt, iter};

/// Displays an error and its causes.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut causes = iter::successors(self.0.source(), |&cause| cause.source());
        causes.try_for_each(|cause| write!(formatter, ": {cause}"))
    }
}
