//! The configuration: defaults, overridden by a file, overridden by the environment.
//!
//! All problems are reported at once, each with its key and layer. A message never contains a secret.

mod document;
mod files;
mod log;
mod model;
mod problem;
mod provider;
mod scalar;
mod schema;
mod secret;
mod settings;
mod validate;
mod values;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use self::{
    document::Document,
    model::{Model, Section},
};
pub(crate) use self::{
    files::CaFile,
    log::LogFormat,
    problem::Problems,
    settings::{
        Config, Hints, Namespaces, Notifications, RegistryEntry, Rollouts, Secret, TokenSource,
    },
};

/// A valid configuration.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// To be logged; none of them prevents the start.
    pub(crate) warnings: Vec<String>,
    /// All values in force as they are written, without secrets; to be logged.
    pub(crate) effective: serde_json::Value,
}

/// Loads the file, if there is one, and the environment.
///
/// # Errors
///
/// All [`Problems`]: invalid syntax, unknown keys, values that are not allowed, variables that are not set, and files
/// that cannot be read.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let keys = schema::keys::<Section<Model>>();
    let file = file.and_then(|path| provider::file(path, &mut problems));
    let variables = provider::variables(&keys, environment, &mut problems, &mut warnings);
    let merged = provider::merge(file, variables, &mut problems);

    let mut document = Document::new(merged, environment, problems, warnings);
    let model = document.extract::<Section<Model>>(&keys);
    let config = model.and_then(|Section(model)| validate::config(model, &mut document));
    let effective = schema::redacted(document.written(), &keys);
    let Document {
        problems, warnings, ..
    } = document;
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            config,
            warnings,
            effective,
        }),
        _ => Err(problems.sorted()),
    }
}
