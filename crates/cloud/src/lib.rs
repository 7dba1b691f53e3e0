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
mod observer;
mod provider;
mod request;
mod store;

pub use crate::{
    aws::{is_region, is_role_arn},
    cloud::Cloud,
    identities::{Error, Identities, Setup},
    observer::{NoopObserver, RefreshObserver},
    request::CredentialRequest,
};
