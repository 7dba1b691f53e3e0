//! The configuration: what users write in a file and in the environment, checked as a whole.
//!
//! Layers, the later the higher: defaults, the file, the environment. Everything that is wrong is reported at once, with
//! its place; a secret is never part of a message.

mod document;
mod effective;
mod files;
mod found;
mod log;
mod model;
mod problem;
mod provider;
mod registries;
mod rollouts;
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
    registries::{RegistryEntry, Secret, TokenSource},
    rollouts::Rollouts,
    settings::{Config, Hints, Namespaces, Notifications},
};

/// A configuration that can be used, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// To be logged; none of them stops the start.
    pub(crate) warnings: Vec<String>,
    /// All values in force, in the file's words and without secrets; to be logged.
    pub(crate) effective: serde_json::Value,
}

/// Reads the file, if there is one, and the environment.
///
/// # Errors
///
/// [`Problems`], with everything that is wrong: syntax, unknown keys, values that are not allowed, variables that are
/// not set, and files that cannot be read.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let keys = schema::keys::<Section<Model>>();
    let file = file.and_then(|path| provider::file(path, &mut problems));
    let variables = provider::variables(&keys, environment, &mut problems, &mut warnings);
    let merged = provider::merge(file, variables, &mut problems);

    let mut document = Document::new(merged, environment, problems, warnings);
    let model = document.extract::<Section<Model>>(&keys);
    let config = model.and_then(|Section(model)| validate::config(model, &mut document));
    let effective = effective::effective(document.written(), &keys);
    let Document {
        problems, warnings, ..
    } = document;
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            config,
            warnings,
            effective,
        }),
        _ => Err(Problems::from(problems)),
    }
}
