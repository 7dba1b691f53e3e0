//! The body of responses.

use futures::stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};

/// The body of a response: complete, or in chunks. One type for all listeners, as the HTTP server is compiled for each type.
pub(crate) type Body = Either<Full<Bytes>, StreamBody<stream::Iter<Chunks>>>;

/// Chunks that are built while the client reads, so that a large body or a slow client costs little memory.
pub(crate) type Chunks = Box<dyn Iterator<Item = Result<Frame<Bytes>, Incomplete>> + Send>;

/// The source of the chunks no longer exists. The connection is aborted, so that the client sees an incomplete body.
#[derive(Debug, thiserror::Error)]
#[error("the response cannot be completed")]
pub(crate) struct Incomplete;

/// A complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A body in chunks.
pub(crate) fn chunked(chunks: Chunks) -> Body {
    Either::Right(StreamBody::new(stream::iter(chunks)))
}
