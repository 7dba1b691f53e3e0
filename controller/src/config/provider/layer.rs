//! One layer of a configuration.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map},
};

/// Values that came from one file or one environment variable.
pub(in crate::config) struct Layer {
    /// The file's path or the variable's name; none for the defaults.
    pub(super) origin: Option<String>,
    /// The values, by key.
    pub(super) values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.origin {
            Some(origin) => Metadata::named("").source(origin.as_str()),
            None => Metadata::named(""),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
