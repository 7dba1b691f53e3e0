//! Logs that another process appends to, read line by line.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

/// How much of a file is read at once in search of the end of a line, in bytes.
const BLOCK: u64 = 4096;

/// A position in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(u64);

impl Mark {
    /// The place after what was read from here.
    pub(crate) const fn after(self, text: &str) -> Self {
        Self(self.0 + text.len() as u64)
    }
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be read.
    #[error("could not read the log {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line could not be parsed.
    #[error("could not parse the line {line:?} of the log {}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// The line.
        line: String,
    },
}

/// A growing file of lines.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    path: PathBuf,
}

impl Lines {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the last whole line; one that is being written comes after it.
    pub(crate) fn mark(&self) -> Result<Mark, LogError> {
        self.end().map_err(|source| self.unreadable(source))
    }

    /// The whole lines after `mark`.
    pub(crate) fn since(&self, mark: Mark) -> Result<String, LogError> {
        self.read(mark).map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: io::Error) -> LogError {
        LogError::Read {
            file: self.path.clone(),
            source,
        }
    }

    /// The error for a line that could not be parsed.
    pub(crate) fn unparsed(&self, line: &str) -> LogError {
        LogError::Parse {
            file: self.path.clone(),
            line: line.to_owned(),
        }
    }

    fn end(&self) -> io::Result<Mark> {
        let mut file = File::open(&self.path)?;
        let mut end = file.metadata()?.len();
        while end > 0 {
            let begin = end.saturating_sub(BLOCK);
            file.seek(SeekFrom::Start(begin))?;
            let mut block = Vec::new();
            file.by_ref().take(end - begin).read_to_end(&mut block)?;
            if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Mark(begin + last as u64 + 1));
            }
            end = begin;
        }
        Ok(Mark::default())
    }

    fn read(&self, mark: Mark) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_whole_lines_since_the_mark_are_read() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let lines = Lines::new(file.path().to_owned());
        writeln!(file, "one").expect("writable");
        let mark = lines.mark().expect("readable");
        write!(file, "two\nthr").expect("writable");
        assert_eq!(lines.since(mark).expect("readable"), "two\n");
        assert_eq!(
            lines.since(Mark::default()).expect("readable"),
            "one\ntwo\n"
        );
    }

    #[test]
    fn a_line_that_is_being_written_is_yet_to_come() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let lines = Lines::new(file.path().to_owned());
        assert_eq!(lines.mark().expect("readable"), Mark::default());
        write!(file, "one").expect("writable");
        assert_eq!(lines.mark().expect("readable"), Mark::default());
        let long = "two".repeat(4096);
        write!(file, "\n{long}").expect("writable");
        let mark = lines.mark().expect("readable");
        writeln!(file, "!").expect("writable");
        let since = lines.since(mark).expect("readable");
        assert_eq!(since, format!("{long}!\n"));
    }
}
