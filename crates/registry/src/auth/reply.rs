//! What comes of an authenticated request.

use std::sync::Arc;

use super::method::AuthMethod;
use crate::{http::Response, observer::Operation};

/// A response that is neither 401 nor 403.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) auth_method: AuthMethod,
    /// To whom the credential was issued.
    pub(crate) identity: Option<Arc<str>>,
    /// GET, where a HEAD was asked for again.
    pub(crate) operation: Operation,
}
