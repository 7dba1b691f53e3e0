//! One layer of a configuration.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map},
};

/// The values of one file or environment variable.
pub(in crate::config) struct Layer {
    /// The path of the file or the name of the variable; `None` for the defaults.
    pub(super) origin: Option<String>,
    pub(super) values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.origin {
            Some(origin) => Metadata::from("", origin.as_str()),
            None => Metadata::named(""),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
