//! The providers of figment: defaults, the file as YAML, and the environment.

mod environment;
mod interpolate;
mod layer;
mod layers;
mod yaml;

pub(super) use self::{
    environment::variables,
    interpolate::interpolate,
    layers::{Merged, defaults, merge},
    yaml::file,
};
