//! How long the API server may take for the head of an answer.
//!
//! kube bounds the silence of a watch that was answered, and callers bound what they read of a body; without this, nothing
//! bounds the wait for the answer to a watch itself.

use std::time::Duration;

use tower::{
    BoxError,
    layer::util::Stack,
    timeout::{TimeoutLayer, error::Elapsed},
    util::MapErrLayer,
};

/// From the request to the head of its answer.
const HEAD: Duration = Duration::from_secs(30);

/// There was none.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", HEAD.as_secs())]
struct NoAnswer;

type Layers = Stack<TimeoutLayer, MapErrLayer<fn(BoxError) -> BoxError>>;

/// Bounds each attempt of a request by itself.
pub(super) fn layer() -> Layers {
    Stack::new(TimeoutLayer::new(HEAD), MapErrLayer::new(named))
}

/// The same error, in words that say who did not answer.
fn named(error: BoxError) -> BoxError {
    if error.is::<Elapsed>() {
        NoAnswer.into()
    } else {
        error
    }
}
