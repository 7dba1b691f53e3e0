//! The body of responses.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{self, Bytes, Frame, SizeHint};

/// The body of a response. One type for all listeners, as the HTTP server is compiled for each type.
pub(crate) enum Body {
    /// A complete body, until it is sent.
    Whole(Option<Bytes>),
    /// Chunks that are built while the client reads, so that a large body or a slow client costs little memory.
    Chunks(Box<dyn Iterator<Item = Result<Bytes, Incomplete>> + Send>),
}

/// The source of the chunks no longer exists. The connection is aborted, so that the client sees an incomplete body.
#[derive(Debug, thiserror::Error)]
#[error("the response cannot be completed")]
pub(crate) struct Incomplete;

impl Body {
    /// A complete body.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(Ok),
            Self::Chunks(chunks) => chunks.next(),
        };
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, length)),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}
