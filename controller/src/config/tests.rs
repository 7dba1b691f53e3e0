//! Configurations, and the settings, problems and warnings that they lead to.

mod clouds;
mod environment;
mod files;
mod hints;
mod keys;
mod messages;
mod notifications;
mod page;
mod registries;
mod schedules;
mod scope;
mod syntax;

use std::{collections::BTreeMap, fs, path::PathBuf};

use tempfile::TempDir;

use super::{Config, Loaded, load};

/// A self-signed certificate.
const CERTIFICATE: &str = include_str!("tests/ca.pem");

/// A directory with the configuration and the files that it names, and an environment.
struct Given {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Given {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
            environment: BTreeMap::new(),
        }
    }

    /// Adds a file; texts of the configuration name it `DIR/<name>`.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).expect("a file of the test");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), self.placed(value));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn placed(&self, text: &str) -> String {
        text.replace("DIR", &self.folder.path().display().to_string())
    }

    fn load_without_file(&self) -> Result<Loaded, String> {
        load(None, &self.environment).map_err(|problems| problems.to_string())
    }

    /// Loads a file of this text.
    fn load(&self, text: &str) -> Result<Loaded, String> {
        let path = self.path("config.yaml");
        fs::write(&path, self.placed(text)).expect("the configuration of the test");
        let folder = self.folder.path().display().to_string();
        load(Some(&path), &self.environment)
            .map_err(|problems| problems.to_string().replace(&folder, "DIR"))
    }

    fn config(&self, text: &str) -> Config {
        self.load(text)
            .unwrap_or_else(|problems| panic!("{text}\n{problems}"))
            .config
    }

    /// The problems of this text, without the heading and the indentation.
    fn problems(&self, text: &str) -> Vec<String> {
        match self.load(text) {
            Ok(_) => Vec::new(),
            Err(message) => lines(&message),
        }
    }
}

/// The problems that a message lists.
fn lines(message: &str) -> Vec<String> {
    message
        .lines()
        .skip(1)
        .map(|line| line.trim_start().to_owned())
        .collect()
}

/// Checks a table of configurations, each with its problems.
fn check_problems(given: &Given, table: &[(&str, &str)]) {
    for (text, problem) in table {
        let expected: Vec<&str> = problem
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(given.problems(text), expected, "{text}");
    }
}
