//! What the pods of one list have in common, kept once: most pods of a workload differ in their names only.

use std::{borrow::Borrow, collections::HashSet, hash::Hash, sync::Arc};

use super::ContainerSpec;
use crate::workload::interner::Names;

/// What was read of a list so far and may come again.
#[derive(Debug, Default)]
pub(super) struct Shared {
    names: Names,
    specs: HashSet<Arc<ContainerSpec>>,
    secrets: HashSet<Arc<[String]>>,
}

impl Shared {
    /// The one copy of a name.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.names.one(name)
    }

    /// The one copy of what is asked for of a container.
    pub(super) fn spec(&mut self, spec: ContainerSpec) -> Arc<ContainerSpec> {
        one(&mut self.specs, spec)
    }

    /// The one copy of a list of Secrets.
    pub(super) fn secrets(&mut self, secrets: Vec<String>) -> Arc<[String]> {
        one(&mut self.secrets, secrets)
    }
}

fn one<T, N>(known: &mut HashSet<Arc<T>>, new: N) -> Arc<T>
where
    T: Eq + Hash + ?Sized,
    N: Borrow<T> + Into<Arc<T>>,
{
    if let Some(known) = known.get(new.borrow()) {
        return Arc::clone(known);
    }
    let new = new.into();
    known.insert(Arc::clone(&new));
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_kept_once() {
        let mut shared = Shared::default();
        let spec = |image: &str| ContainerSpec::new("app".into(), image.into(), true, false);
        let [first, second, other] =
            ["a.io/app", "a.io/app", "b.io/app"].map(|image| shared.spec(spec(image)));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        let [first, second, other] = [
            vec!["login".to_owned()],
            vec!["login".to_owned()],
            Vec::new(),
        ]
        .map(|secrets| shared.secrets(secrets));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
    }
}
