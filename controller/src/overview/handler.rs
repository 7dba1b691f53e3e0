//! Serves the overview.

use std::{
    sync::{Arc, Weak},
    vec,
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Bytes, Frame, Incoming};
use jiff::Timestamp;
use kube_autorollout_overview::{Filter, Json, Overview, Page, View};
use serde_json::json;

use super::{Forwarder, forwarder::Unavailable, rows::RowSource, survey::survey};
use crate::{
    clock,
    controller::Context,
    leader_election::term_scoped::TermScoped,
    server::{
        body::{self, Body, Incomplete},
        health::Health,
    },
    workload::identity::Identity,
};

/// Minimum size of a chunk of the body, in bytes.
const CHUNK_SIZE: usize = 16 * 1024;

/// The page may load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of each response.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// `Retry-After` while no replica leads, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// The format of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Page,
    Json,
}

/// Serves the overview from this replica's state if it leads, and otherwise forwards the request to the leader.
pub(crate) struct Handler {
    /// The context of the current term, if this replica leads.
    pub(crate) context: TermScoped<Context>,
    pub(crate) forwarder: Forwarder,
    pub(crate) health: Arc<Health>,
    /// The name of this replica.
    pub(crate) instance: String,
}

impl Handler {
    /// Responds to a request for one of the paths.
    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let format = match head.uri.path() {
            "/" => Format::Page,
            _ => Format::Json,
        };
        let filter = match Filter::parse(head.uri.query().unwrap_or_default()) {
            Ok(filter) => filter,
            Err(error) => return format.without_rows(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if let Some(context) = self.context.get() {
            return self.rows(format, filter, &context);
        }
        match self.forwarder.forward(&head).await {
            Ok((status, bytes)) => format.response(status, body::full(bytes)),
            Err(Unavailable(message)) => {
                format.without_rows(StatusCode::SERVICE_UNAVAILABLE, &message)
            }
        }
    }

    fn rows(&self, format: Format, filter: Filter, context: &Arc<Context>) -> Response<Body> {
        let now = clock::now();
        let page = match format {
            Format::Page => Some(filter.page.unwrap_or(1)),
            Format::Json => filter.page,
        };
        let (counts, workloads) = survey(context, &Filter { page, ..filter }, now);
        let overview = Overview {
            leader: (&*self.instance).into(),
            complete: self.health.has_listed(),
            ..counts
        };
        let mut view: Box<dyn View> = match format {
            Format::Page => Box::new(Page::default()),
            Format::Json => Box::new(Json::default()),
        };
        let mut head = Vec::with_capacity(CHUNK_SIZE);
        drop(view.begin(&overview, &mut head)); // writing to a vector cannot fail
        let chunks = Chunks {
            context: Arc::downgrade(context),
            view: Some(view),
            head,
            rows: workloads.into_iter(),
            now,
        };
        format.response(StatusCode::OK, body::chunked(Box::new(chunks)))
    }
}

impl Format {
    fn response(self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let kind = match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Json => "application/json",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// A response with a message instead of rows.
    fn without_rows(self, status: StatusCode, message: &str) -> Response<Body> {
        let bytes = match self {
            Self::Json => format!("{}\n", json!({ "error": message })).into_bytes(),
            Self::Page => {
                let mut page = Vec::new();
                drop(Page::without_rows(message, &mut page)); // writing to a vector cannot fail
                page
            }
        };
        let mut response = self.response(status, body::full(bytes));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// The chunks of a body, built one at a time.
struct Chunks {
    /// Weak, so that a client that does not read does not delay the end of the term.
    context: Weak<Context>,
    /// `None` after the last chunk.
    view: Option<Box<dyn View>>,
    /// The part before the rows, until it is sent.
    head: Vec<u8>,
    rows: vec::IntoIter<Identity>,
    now: Timestamp,
}

impl Iterator for Chunks {
    type Item = Result<Frame<Bytes>, Incomplete>;

    fn next(&mut self) -> Option<Self::Item> {
        let view = self.view.as_mut()?;
        let Some(context) = self.context.upgrade() else {
            self.view = None;
            return Some(Err(Incomplete));
        };
        let mut chunk = std::mem::take(&mut self.head);
        // Writing to a vector cannot fail.
        while chunk.len() < CHUNK_SIZE {
            let Some(identity) = self.rows.next() else {
                drop(view.end(&mut chunk));
                self.view = None;
                break;
            };
            if let Some(source) = RowSource::new(&identity, &context) {
                drop(view.row(&source.row(&context, self.now), &mut chunk));
            }
        }
        Some(Ok(Frame::data(chunk.into())))
    }
}
