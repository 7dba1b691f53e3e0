//! Deduplicates what the pods of one list have in common: most pods of a workload differ in their names only.

use std::{borrow::Borrow, collections::HashSet, hash::Hash, sync::Arc};

use super::ContainerSpec;
use crate::workload::interner::StringInterner;

/// One copy of each value in a list that may occur again.
#[derive(Debug, Default)]
pub(super) struct PodInterner {
    texts: StringInterner,
    specs: HashSet<Arc<ContainerSpec>>,
    secrets: HashSet<Arc<[String]>>,
}

impl PodInterner {
    /// The copy of a name, node or image ID.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.intern(text)
    }

    /// The copy of what a pod asks for of a container.
    pub(super) fn spec(&mut self, spec: ContainerSpec) -> Arc<ContainerSpec> {
        intern(&mut self.specs, spec)
    }

    /// The copy of a list of Secrets.
    pub(super) fn secrets(&mut self, secrets: Vec<String>) -> Arc<[String]> {
        intern(&mut self.secrets, secrets)
    }
}

fn intern<T, N>(interned: &mut HashSet<Arc<T>>, new: N) -> Arc<T>
where
    T: Eq + Hash + ?Sized,
    N: Borrow<T> + Into<Arc<T>>,
{
    if let Some(interned) = interned.get(new.borrow()) {
        return Arc::clone(interned);
    }
    let new = new.into();
    interned.insert(Arc::clone(&new));
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_stored_once() {
        let mut interner = PodInterner::default();
        let spec = |image: &str| ContainerSpec::new("app".into(), image.into(), true, false);
        let [first, second, other] =
            ["a.io/app", "a.io/app", "b.io/app"].map(|image| interner.spec(spec(image)));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        let [first, second, other] = [
            vec!["login".to_owned()],
            vec!["login".to_owned()],
            Vec::new(),
        ]
        .map(|secrets| interner.secrets(secrets));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
    }
}
