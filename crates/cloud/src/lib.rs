#![doc = include_str!("../README.md")]

mod aws;
mod azure;
mod cache;
mod cloud;
mod environment;
mod failure;
mod gcp;
mod grant;
mod http;
mod identities;
mod provider;
mod request;
mod store;

pub use crate::{
    aws::{is_region, is_role_arn},
    cloud::Cloud,
    identities::{Error, Identities, NoopObserver, RefreshObserver, Setup},
    request::CredentialRequest,
};
