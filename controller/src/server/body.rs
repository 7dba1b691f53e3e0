//! The bodies of answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{self, Bytes, Frame, SizeHint};

/// The body of an answer. One type for all listeners: for each other one, the program would have a server of its own.
pub(crate) enum Body {
    /// All of it, until it is sent.
    Whole(Option<Bytes>),
    /// Pieces that are made while the client reads, so that a large body costs little memory, and a client that does not read
    /// it no more.
    Pieces(Box<dyn Iterator<Item = Result<Bytes, Cut>> + Send>),
}

/// What it is made from is not there any more: the client sees that it is not whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be completed")]
pub(crate) struct Cut;

impl Body {
    /// A body that is there.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(Ok),
            Self::Pieces(pieces) => pieces.next(),
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
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
