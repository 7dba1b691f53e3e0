//! What the chart gives Prometheus and Grafana: the alert rules, the dashboard, and the pages about them.

mod alerts;
mod dashboard;
mod documents;
mod story;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const RULES: &str = "charts/kube-autorollout/files/alerts.yaml";

/// A file of the repository.
fn path(file: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    repository.expect("a repository").join(file)
}

/// What stands in it.
fn text(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The values of a key of the alert rules, in order.
fn rules(key: &str) -> Vec<String> {
    let text = text(RULES);
    let values = text.lines().filter_map(|line| line.split_once(key));
    values.map(|(_, value)| value.to_owned()).collect()
}

/// The metrics, ours and those of the process, that are named in a text; a histogram's series count as the histogram.
fn metrics(text: &str) -> BTreeSet<String> {
    let words =
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let names =
        words.filter(|word| word.starts_with("kube_autorollout_") || word.starts_with("process_"));
    let ends = ["_bucket", "_sum", "_count"];
    names
        .map(|name| {
            ends.iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name)
                .to_owned()
        })
        .collect()
}
