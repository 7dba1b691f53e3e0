//! Logs that another process appends to and we read as records.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// How much of a file is read at once in search of the end of a line, in bytes.
const BLOCK: u64 = 4096;

/// A place in a log: what is written later is "since" it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(u64);

impl Mark {
    /// The place after what was read from here.
    pub(crate) const fn after(self, text: &str) -> Self {
        Self(self.0 + text.len() as u64)
    }
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

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the lines as they are now: one that is being written, page by page, is yet to come.
    pub(crate) fn mark(&self) -> io::Result<Mark> {
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

    /// The lines written since `mark`; a line without its end is left for the next time.
    pub(crate) fn since(&self, mark: Mark) -> io::Result<String> {
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
