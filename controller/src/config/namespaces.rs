//! Where workloads are watched.

use std::collections::BTreeSet;

use super::reader::{Node, Reader};

/// Stands for every namespace.
const ALL: &str = "*";

const NAME: &str = "the name of a namespace, or [\"*\"] for the whole cluster";

/// Where workloads are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// In the controller's own namespace.
    Own,
    /// In these, of which there is at least one.
    Listed(Vec<String>),
    /// In the whole cluster.
    All,
}

/// Reads `watch.namespaces`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Namespaces> {
    let entries = reader.list(node)?;
    let mut seen = BTreeSet::new();
    let mut names = Some(Vec::new());
    for entry in &entries {
        let name = reader.choose(entry, NAME, |text| is_name(text).then(|| text.to_owned()));
        let allowed = match &name {
            Some(name) if name == ALL && entries.len() > 1 => Some("[\"*\"] alone, or names only"),
            Some(name) if !seen.insert(name.clone()) => Some("each namespace once"),
            _ => None,
        };
        if let Some(allowed) = allowed {
            reader.invalid(entry, allowed);
        }
        match (&mut names, name, allowed) {
            (Some(names), Some(name), None) => names.push(name),
            _ => names = None,
        }
    }
    names.map(|names| match names.as_slice() {
        [] => Namespaces::Own,
        [all] if all == ALL => Namespaces::All,
        _ => Namespaces::Listed(names),
    })
}

/// A DNS label, <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>, or the star.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    text == ALL || ((1..=63).contains(&text.len()) && text.bytes().all(inner) && ends_well)
}
