//! HEAD and GET, as far as it matters for what a refusal says.

use crate::{http::Response, observer::Operation};

/// What the layer that asks by HEAD knows of its failures: some registries do not know HEAD, and the body of GET has the
/// reason. It is asked before a failure counts as a verdict about the credential.
pub(crate) trait HeadFallback: Sync {
    /// Whether GET may say more than this failure of HEAD.
    fn wants_get(&self, failure: &Response) -> bool;

    /// Which of the two counts: the failure of HEAD, or what GET was answered, if it was.
    fn choose(&self, head: Response, get: Option<Response>) -> (Response, Operation);
}
