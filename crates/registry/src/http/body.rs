//! Response bodies: read into one buffer each, within a memory budget.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::transport::classify;
use crate::error::repr::Repr;

/// The budget of all bodies that are being read, in KiB.
const BUDGET: usize = 8 * 1024;

/// Bodies up to this size need no budget, in bytes: nearly all manifests and tokens are smaller, and must not wait for
/// slow large ones.
const SMALL: usize = 64 * 1024;

/// The memory budget for bodies, shared by all hosts.
pub(crate) struct BodyBudget(Semaphore);

impl BodyBudget {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(BUDGET))
    }

    /// Waits for the memory that a body of at most `limit` bytes may take.
    pub(crate) async fn acquire(
        &self,
        body: &Incoming,
        limit: usize,
    ) -> Result<Option<SemaphorePermit<'_>>, Repr> {
        let most = body
            .size_hint()
            .upper()
            .and_then(|most| usize::try_from(most).ok());
        let bytes = most.map_or(limit, |most| most.min(limit));
        if bytes <= SMALL {
            return Ok(None);
        }
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match self.0.acquire_many(kibibytes).await {
            Ok(permit) => Ok(Some(permit)),
            Err(closed) => Err(Repr::Transport(Arc::new(closed))),
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Repr> {
    let expected = body.size_hint().lower();
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(Repr::TooLarge { limit });
    }
    // The operating system does not back memory that is never written.
    let mut read = BytesMut::with_capacity(if expected > 0 {
        expected
    } else {
        SMALL.min(limit)
    });
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| classify(error.into()))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        if read.len().saturating_add(data.remaining()) > limit {
            return Err(Repr::TooLarge { limit });
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
