//! Programs of the system's packages, which only some tests need and which are not built: such a test is skipped where
//! its program is missing, unless `TESTBED_REQUIRE=all` is set.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
};

use crate::programs::Places;

/// The file of an installed program. Without it, the calling test has to return; a line on standard error reports that.
///
/// # Panics
///
/// When it is missing and `TESTBED_REQUIRE` is `all`.
pub fn installed(program: &str) -> Option<PathBuf> {
    let places = Places::from_environment();
    let found = find(program, &places.path);
    if found.is_none() {
        let thread = thread::current();
        let test = thread.name().unwrap_or("a test");
        assert!(!places.require_all, "{test} needs {program}");
        // Not through the test's own output, which is hidden for a test that passes
        drop(writeln!(io::stderr(), "SKIPPED {test}: needs {program}"));
    }
    found
}

fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let mut files = folders.iter().map(|folder| folder.join(program));
    files.find(|file| Path::is_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Folder;

    #[test]
    fn a_program_is_found_in_the_first_folder_that_has_it() {
        let (first, second) = (Folder::new().unwrap(), Folder::new().unwrap());
        let folders = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(find("tool", &folders), None);
        let tool = second.path().join("tool");
        std::fs::write(&tool, "").unwrap();
        assert_eq!(find("tool", &folders), Some(tool));
        let tool = first.path().join("tool");
        std::fs::create_dir(&tool).unwrap();
        assert_ne!(find("tool", &folders), Some(tool), "a folder is no program");
    }
}
