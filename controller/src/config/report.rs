//! What the validation finds.

use super::{
    document::Document,
    found::describe,
    problem::{KeyPath, Mistake, Problem},
};

/// What is wrong with the values of a document.
pub(super) struct Report<'d> {
    /// The values as they are written.
    pub(super) document: &'d Document,
    /// What stops the start.
    pub(super) problems: Vec<Problem>,
    /// What is logged only.
    pub(super) warnings: Vec<String>,
}

impl Report<'_> {
    /// Keeps a mistake in the value at `path`.
    pub(super) fn mistake(&mut self, path: KeyPath, mistake: Mistake) {
        self.problems.push(self.document.problem(path, mistake));
    }

    /// Keeps that the value at `path` is none of those that are allowed.
    pub(super) fn invalid(&mut self, path: KeyPath, allowed: &str) {
        let found = self.document.found(&path, describe);
        let allowed = allowed.to_owned();
        self.mistake(path, Mistake::Invalid { found, allowed });
    }

    /// Keeps that a key is required, unless it has a value: one that cannot be used is a problem already.
    pub(super) fn missing(&mut self, path: KeyPath, allowed: &'static str) {
        if !self.document.has(&path) {
            self.mistake(path, Mistake::Missing { allowed });
        }
    }

    /// Keeps a remark that does not stop the start.
    pub(super) fn warn(&mut self, path: &KeyPath, remark: &str) {
        let place = match self.document.origin(path) {
            Some(origin) => format!("{path} (in {origin})"),
            None => path.to_string(),
        };
        self.warnings.push(format!("{place}: {remark}"));
    }

    /// What a check gives, unless it finds a mistake in the value at `path`.
    pub(super) fn checked<T>(&mut self, path: &KeyPath, result: Result<T, Mistake>) -> Option<T> {
        result
            .map_err(|mistake| self.mistake(path.clone(), mistake))
            .ok()
    }
}
