//! Texts that many share: namespaces of workloads, and nodes, containers and image IDs of pods.

use std::{collections::HashSet, sync::Arc};

/// With fewer texts nothing is dropped.
const FEW: usize = 32;

/// Keeps each text once, as long as somebody else has it: of those that nobody has any more, there are never more than the
/// others were, or a few.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashSet<Arc<str>>,
    /// When there are so many, those that nobody has any more are dropped.
    full: usize,
}

impl Names {
    /// The one copy of a text.
    pub(crate) fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.full.max(FEW) {
            self.known.retain(|name| Arc::strong_count(name) > 1);
            self.full = 2 * self.known.len();
        }
        let name: Arc<str> = text.into();
        self.known.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let mut names = Names::default();
        let (first, second) = (names.one("node-1"), names.one("node-1"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &names.one("node-2")));
    }

    #[test]
    fn texts_that_nobody_has_any_more_are_dropped() {
        let mut names = Names::default();
        let kept: Vec<_> = (0..100)
            .map(|number| names.one(&format!("a-{number}")))
            .collect();
        for number in 0..10_000 {
            names.one(&format!("b-{number}"));
        }
        assert!(names.known.len() <= 2 * kept.len(), "{}", names.known.len());
        for (number, kept) in kept.iter().enumerate() {
            assert!(Arc::ptr_eq(kept, &names.one(&format!("a-{number}"))));
        }
    }
}
