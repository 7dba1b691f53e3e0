//! Bodies of requests: read into one buffer each, within a memory budget. Nobody is authenticated before.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use kube_autorollout_hints::MAX_BODY;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The budget of all bodies in memory, in KiB: a fraction of the memory limit of the chart.
const BUDGET: usize = 8 * 1024;

/// Bodies up to this size need no budget, in bytes: nearly all hints are smaller, and must not be refused because of large
/// ones that do not arrive. All connections together hold another 8 MiB of them.
const SMALL: usize = 64 * 1024;

/// Timeout of reading a body.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than [`MAX_BODY`].
    TooLong,
    /// Other large bodies have used up the budget.
    NoBudget,
    /// It ended early.
    Incomplete,
    /// It did not arrive in time.
    Timeout,
}

/// The memory budget for large bodies.
pub(super) struct BodyBudget(Arc<Semaphore>);

/// A large body. Its memory returns to the budget when it is dropped.
struct Reserved {
    body: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl BodyBudget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET)))
    }

    /// Reads a body. Its part of the budget is taken until the last copy of it is dropped, wherever that is.
    pub(super) async fn read(
        &self,
        body: impl Body<Data = Bytes> + Unpin,
    ) -> Result<Bytes, BodyError> {
        let read = timeout(TIMEOUT, self.collect(body)).await;
        read.unwrap_or(Err(BodyError::Timeout))
    }

    /// Reads a body into one buffer, as each of many small frames would cost more than its data.
    async fn collect(&self, mut body: impl Body<Data = Bytes> + Unpin) -> Result<Bytes, BodyError> {
        let length = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut permit = self.reserve(length)?;
        // The operating system does not back memory that is never written.
        let mut read = BytesMut::with_capacity(length);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Incomplete)?;
            let Ok(data) = frame.into_data() else {
                continue; // trailers
            };
            let length = read.len().saturating_add(data.len());
            if length > MAX_BODY {
                return Err(BodyError::TooLong);
            }
            // In chunks, whose total length is unknown
            if length > SMALL && permit.is_none() {
                permit = self.reserve(MAX_BODY)?;
                read.reserve(MAX_BODY.saturating_sub(read.len()));
            }
            read.extend_from_slice(&data);
        }
        let body = read.freeze();
        Ok(match permit {
            Some(permit) => Bytes::from_owner(Reserved {
                body,
                _permit: permit,
            }),
            None => body,
        })
    }

    /// Takes the memory for a body of this length, unless it is small.
    fn reserve(&self, length: usize) -> Result<Option<OwnedSemaphorePermit>, BodyError> {
        if length > MAX_BODY {
            return Err(BodyError::TooLong);
        }
        if length <= SMALL {
            return Ok(None);
        }
        let kibibytes = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(kibibytes);
        permit.map(Some).map_err(|_| BodyError::NoBudget)
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    /// Reads a body with this `Content-Length` that has arrived.
    fn read(budget: &BodyBudget, length: usize) -> Result<Bytes, BodyError> {
        let body = Full::new(Bytes::from(vec![b' '; length]));
        budget.read(body).now_or_never().expect("it has arrived")
    }

    /// Reads a body that has arrived in chunks of 1 KiB.
    fn read_chunks(budget: &BodyBudget, count: usize) -> Result<Bytes, BodyError> {
        let chunk = || Ok::<_, std::convert::Infallible>(Frame::data(vec![b' '; 1024].into()));
        let body = StreamBody::new(stream::iter((0..count).map(|_| chunk())));
        budget.read(body).now_or_never().expect("it has arrived")
    }

    /// The free part of the budget, in KiB.
    fn free(budget: &BodyBudget) -> usize {
        budget.0.available_permits()
    }

    #[tokio::test]
    async fn a_large_body_takes_its_length_until_its_last_copy_is_dropped() {
        let budget = BodyBudget::new();
        let large = read(&budget, SMALL + 1).expect("a body");
        assert_eq!((large.len(), free(&budget)), (SMALL + 1, BUDGET - 65));
        let forwarded = large.slice(1..);
        drop(large);
        assert_eq!(free(&budget), BUDGET - 65);
        drop(forwarded);
        assert_eq!(free(&budget), BUDGET);
    }

    #[tokio::test]
    async fn small_bodies_are_read_while_the_budget_is_spent() {
        let budget = BodyBudget::new();
        let large: Vec<_> = (0..8).map(|_| read_chunks(&budget, 65)).collect();
        assert!(large.iter().all(Result::is_ok));
        assert_eq!(free(&budget), 0, "the length of chunks is unknown");
        assert_eq!(read(&budget, SMALL + 1), Err(BodyError::NoBudget));
        assert_eq!(read_chunks(&budget, 65), Err(BodyError::NoBudget));
        assert_eq!(read(&budget, SMALL).map(|body| body.len()), Ok(SMALL));
        assert_eq!(read_chunks(&budget, 64).map(|it| it.len()), Ok(SMALL));
        drop(large);
        assert_eq!(read(&budget, MAX_BODY).map(|it| it.len()), Ok(MAX_BODY));
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused_and_takes_nothing() {
        let budget = BodyBudget::new();
        assert_eq!(read(&budget, MAX_BODY + 1), Err(BodyError::TooLong));
        assert_eq!(read_chunks(&budget, 1025), Err(BodyError::TooLong));
        assert_eq!(read_chunks(&budget, 1024).map(|it| it.len()), Ok(MAX_BODY));
        assert_eq!(free(&budget), BUDGET);
    }
}
