//! Where workloads are watched.

use std::collections::BTreeSet;

use super::{node::Node, reader::Reader};

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
    let several = reader.list(node)?.len() > 1;
    let mut seen = BTreeSet::new();
    let names = reader.each(node, |reader, entry| {
        let name = reader.choose(entry, NAME, |text| is_name(text).then(|| text.to_owned()))?;
        if name == ALL && several {
            reader.invalid(entry, "[\"*\"] alone, or names only");
            return None;
        }
        if !seen.insert(name.clone()) {
            reader.invalid(entry, "each namespace once");
            return None;
        }
        Some(name)
    })?;
    Some(match names.as_slice() {
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
