#![doc = include_str!("../README.md")]

mod authentication;
mod collector;
mod handshake;
mod hint;
mod images;
mod malformed;
mod naming;
pub mod oidc;
mod rate;
mod receiver;
mod request;
mod route;
mod sender;

pub use crate::{
    authentication::{
        ArtifactoryAuthentication, Authenticated, InvalidSecret, Secret, Secrets, Unauthenticated,
    },
    handshake::handshake,
    hint::{Hint, Ignored, Parsed, Tags},
    images::{ImagePatterns, InvalidPattern},
    malformed::{MAX_BODY, MAX_TAGS, Malformed},
    naming::Naming,
    rate::{Limits, Rate, TokenBucket},
    receiver::{Problem, Receiver, ReceiverSettings, receivers},
    request::Request,
    route::{InvalidWait, MAX_WAIT, Route},
    sender::{Sender, UnknownSender},
};
