//! The testbed that all tests of one binary share, and the namespaces in which they keep out of each other's way.

mod namespace;
mod shared;
mod testbed;

pub use crate::sources::with_sources;
pub use namespace::{Namespace, QuotaError};
pub use shared::{Bed, alone, alone_with, shared};
pub use testbed::{Error, Testbed};
