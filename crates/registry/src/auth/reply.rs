//! What comes of an authenticated request.

use super::method::AuthMethod;
use crate::{http::Response, observer::Operation};

/// A response that is neither 401 nor 403.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) auth_method: AuthMethod,
    /// GET, where a HEAD was asked for again.
    pub(crate) operation: Operation,
}
