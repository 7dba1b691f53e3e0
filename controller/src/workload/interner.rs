//! Strings that many objects have in common: namespaces of workloads, and nodes, containers and image IDs of pods.

use std::{collections::HashSet, sync::Arc};

/// With fewer strings nothing is dropped.
const FEW: usize = 32;

/// Interns strings: stores one copy of each. Strings that are no longer in use are dropped before they outnumber the others,
/// unless there are only a few.
#[derive(Debug, Default)]
pub(crate) struct StringInterner {
    interned: HashSet<Arc<str>>,
    /// With this many strings, those that are no longer in use are dropped.
    full: usize,
}

impl StringInterner {
    /// The copy of a string.
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(interned) = self.interned.get(text) {
            return Arc::clone(interned);
        }
        if self.interned.len() >= self.full.max(FEW) {
            self.interned.retain(|name| Arc::strong_count(name) > 1);
            self.full = 2 * self.interned.len();
        }
        let name: Arc<str> = text.into();
        self.interned.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_one_copy() {
        let mut names = StringInterner::default();
        let (first, second) = (names.intern("node-1"), names.intern("node-1"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &names.intern("node-2")));
    }

    #[test]
    fn unused_strings_are_dropped() {
        let mut names = StringInterner::default();
        let kept: Vec<_> = (0..100)
            .map(|number| names.intern(&format!("a-{number}")))
            .collect();
        for number in 0..10_000 {
            names.intern(&format!("b-{number}"));
        }
        assert!(
            names.interned.len() <= 2 * kept.len(),
            "{}",
            names.interned.len()
        );
        for (number, kept) in kept.iter().enumerate() {
            assert!(Arc::ptr_eq(kept, &names.intern(&format!("a-{number}"))));
        }
    }
}
