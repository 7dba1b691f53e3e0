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
    authentication::{Authenticated, InvalidSecret, Secret, Secrets, Unauthenticated},
    collector::MAX_TAGS,
    handshake::handshake,
    hint::{Hint, Ignored, Parsed, Tags},
    images::{ImagePatterns, InvalidPattern},
    malformed::Malformed,
    naming::Naming,
    rate::{Limits, Rate, TokenBucket},
    receiver::{ArtifactoryAuthentication, Problem, Receiver, ReceiverSettings, receivers},
    request::{MAX_BODY, Request},
    route::{InvalidWait, LONGEST_WAIT, Route},
    sender::{Sender, UnknownSender},
};
