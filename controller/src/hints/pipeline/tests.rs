//! Requests whose bodies do not arrive, at a replica without a leader.

use std::{collections::BTreeMap, convert::Infallible, pin::Pin};

use futures::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, SizeHint};
use kube_autorollout_hints::{MAX_BODY, ReceiverSettings};
use tokio::time::advance;

use super::{super::body, *};
use crate::{config, leader_election::leadership::Leadership, registry::options};

/// A body whose first bytes have arrived.
struct Stalled {
    length: Option<usize>,
    frames: BoxStream<'static, Result<Frame<Bytes>, Infallible>>,
}

impl Stalled {
    /// `sent` bytes of a body with this `Content-Length`, or with chunks.
    fn after(sent: usize, length: Option<usize>) -> Self {
        let sent = stream::once(async move { Ok(Frame::data(vec![b' '; sent].into())) });
        Self {
            length,
            frames: sent.chain(stream::pending()).boxed(),
        }
    }
}

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_next_unpin(context)
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.length.and_then(|length| u64::try_from(length).ok());
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The pipeline of a replica that neither leads nor knows the leader, so that each request whose body was read ends there.
fn follower() -> Pipeline {
    let environment = BTreeMap::new();
    let config = config::load(None, &environment).expect("defaults").config;
    let client = options::external_client(&config, &environment).expect("a client");
    let mut settings = ReceiverSettings::new("ci", Sender::Generic);
    settings.secret_file = Some("/etc/hints/ci".into());
    let receivers = kube_autorollout_hints::receivers(vec![settings]).expect("no mistakes");
    Pipeline::new(
        Receivers::new(receivers),
        Issuers::new(client.clone()),
        Forwarder::new(client, Arc::new(Leadership::new(true))),
        TermScoped::default(),
        Arc::new(Metrics::new().expect("metrics")),
    )
}

fn request<B>(body: B) -> Request<B> {
    let request = Request::post("/hooks/ci").body(body);
    request.expect("a request")
}

/// The status, `Retry-After` and the text of a response.
async fn parts(response: Response) -> (u16, Option<String>, String) {
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.map(|value| value.to_str().expect("text").to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let text = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    (status, retry_after, text)
}

#[tokio::test(start_paused = true)]
async fn bodies_that_do_not_arrive_take_eight_mebibytes_at_most() {
    let pipeline = follower();
    let nearly = MAX_BODY - 1;
    for length in [Some(MAX_BODY), None] {
        let stalled = || Box::pin(pipeline.respond(request(Stalled::after(nearly, length))));
        let mut held: Vec<_> = (0..8).map(|_| stalled()).collect();
        for request in &mut held {
            assert!(request.now_or_never().is_none(), "it is being read");
        }
        let refused = stalled().now_or_never().expect("a response at once");
        let (status, retry_after, text) = parts(refused).await;
        assert_eq!((status, retry_after.as_deref()), (503, Some("5")), "{text}");
        assert!(text.contains("large"), "{text}");

        // Others are read as ever, and so are large ones when the memory is free again.
        let small = pipeline.respond(request(Full::from("{}"))).now_or_never();
        let (.., text) = parts(small.expect("a response")).await;
        assert!(text.contains("leading"), "{text}");
        let mut small = Box::pin(pipeline.respond(request(Stalled::after(1, None))));
        assert!((&mut small).now_or_never().is_none(), "it is being read");
        held.pop();
        assert!(stalled().now_or_never().is_none(), "it is being read");
        advance(body::TIMEOUT).await;
        let (status, ..) = parts(held.remove(0).await).await;
        assert_eq!(status, 408);
    }
    let metrics = pipeline.metrics.encode(true, &BTreeMap::new());
    let limited = r#"hints_total{outcome="limited",receiver="ci"} 2"#;
    assert!(metrics.contains(limited), "{metrics}");
}
