//! Responses of the scripted server, honest or not.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::{Body, Frame};
use kube_autorollout_testbed::image::digest_of;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DIGEST: &str = "docker-content-digest";

/// A scripted response.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    pub(super) hold: Option<Arc<tokio::sync::Semaphore>>,
}

#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    Endless,
    /// Starts and never ends.
    Stuck,
    /// No response at all.
    Never,
}

pub(crate) fn status(code: u16) -> Answer {
    Answer {
        status: StatusCode::from_u16(code).expect("a status"),
        headers: HeaderMap::new(),
        content: Content::Bytes(Bytes::new()),
        hold: None,
    }
}

/// An index with its digest in the header, as sent by a conforming registry.
pub(crate) fn index(body: &str) -> Answer {
    let digest = digest_of(body.as_bytes()).to_string();
    index_without_digest(body).with(DIGEST, &digest)
}

pub(crate) fn index_without_digest(body: &str) -> Answer {
    status(200).with("content-type", OCI_INDEX).body(body)
}

pub(crate) fn token(token: &str) -> Answer {
    status(200).body(&format!(r#"{{"token":"{token}","expires_in":300}}"#))
}

impl Answer {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.append(
            name.parse::<HeaderName>().expect("a header's name"),
            value.parse::<HeaderValue>().expect("a header's value"),
        );
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.content = Content::Bytes(body.to_owned().into());
        self
    }

    /// Some mebibytes of gzip, each of which unpacks to 158. The check sum at the end is left out: who gets there has
    /// done the harm already.
    pub(crate) fn gzip_bomb(mut self, mebibytes: usize) -> Self {
        // RFC 1951, 3.2.6: the last block, with fixed codes; a zero; then "258 more of these", eight times in 13 bytes.
        let begin = [1, 1, 0].into_iter().chain([0, 0, 1, 1, 0, 0, 0, 0]);
        let more = [1, 1, 0, 0, 0, 1, 0, 1].into_iter().chain([0; 5]);
        let bits: Vec<u8> = begin
            .chain(std::iter::repeat_n(more, 9).flatten())
            .collect();
        let bytes: Vec<u8> = bits
            .chunks(8)
            .map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | bit))
            .collect();
        let (begin, again) = bytes.split_at(3);
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let bomb = header.iter().chain(begin).chain(again.iter().cycle());
        self.content = Content::Bytes(bomb.copied().take(mebibytes * 1024 * 1024).collect());
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.content = Content::Endless;
        self
    }

    pub(crate) fn stuck(mut self) -> Self {
        self.content = Content::Stuck;
        self
    }

    pub(crate) fn never(mut self) -> Self {
        self.content = Content::Never;
        self
    }

    /// Waits for a permit, which is not returned.
    pub(crate) fn hold(mut self, until: &Arc<tokio::sync::Semaphore>) -> Self {
        self.hold = Some(Arc::clone(until));
        self
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 16384]))))),
            Self::Stuck | Self::Never => Poll::Pending,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Bytes(bytes) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            _ => hyper::body::SizeHint::default(),
        }
    }
}
