//! Answers to those who ask where the workloads stand.

use std::{
    sync::{Arc, Weak},
    vec,
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;
use kube_autorollout_overview::{Filter, Json, Overview, Page, View};
use serde_json::json;

use super::{Leader, leader::Unanswered, rows::Known, survey::survey};
use crate::{
    clock,
    controller::Context,
    leader_election::present::Present,
    server::{
        body::{Body, Cut},
        health::Health,
    },
    workload::identity::Identity,
};

/// Bytes of a piece of an answer, at least.
const PIECE: usize = 16 * 1024;

/// What the page may do: nothing but show itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of each answer.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// How soon to ask again while no replica leads, in seconds.
const LATER: u64 = 5;

/// For whom an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Json,
}

/// Answers with what this replica knows if it leads, and else with what the leader says.
pub(crate) struct Answering {
    /// What is known in the present term, if this replica leads.
    pub(crate) present: Present<Context>,
    pub(crate) leader: Leader,
    pub(crate) health: Arc<Health>,
    /// The name of this replica.
    pub(crate) instance: String,
}

impl Answering {
    /// Answers a request for one of the paths.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let form = match head.uri.path() {
            "/" => Form::Page,
            _ => Form::Json,
        };
        let filter = match Filter::parse(head.uri.query().unwrap_or_default()) {
            Ok(filter) => filter,
            Err(error) => return form.without_rows(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if let Some(context) = self.present.get() {
            return self.of_rows(form, filter, &context);
        }
        match self.leader.answer(&head).await {
            Ok((status, bytes)) => form.response(status, Body::whole(bytes)),
            Err(Unanswered(why)) => form.without_rows(StatusCode::SERVICE_UNAVAILABLE, &why),
        }
    }

    fn of_rows(&self, form: Form, filter: Filter, context: &Arc<Context>) -> Response<Body> {
        let now = clock::now();
        let page = match form {
            Form::Page => Some(filter.page.unwrap_or(1)),
            Form::Json => filter.page,
        };
        let survey = survey(context, &Filter { page, ..filter }, now);
        let overview = Overview {
            leader: (&*self.instance).into(),
            complete: self.health.has_listed(),
            ..survey.overview
        };
        let mut view: Box<dyn View> = match form {
            Form::Page => Box::new(Page::default()),
            Form::Json => Box::new(Json::default()),
        };
        let mut begun = Vec::with_capacity(PIECE);
        drop(view.begin(&overview, &mut begun)); // a vector takes all
        let pieces = Pieces {
            context: Arc::downgrade(context),
            view: Some(view),
            begun,
            rows: survey.workloads.into_iter(),
            now,
        };
        form.response(StatusCode::OK, Body::Pieces(Box::new(pieces)))
    }
}

impl Form {
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

    /// An answer that says why there are no rows.
    fn without_rows(self, status: StatusCode, why: &str) -> Response<Body> {
        let body = match self {
            Self::Json => format!("{}\n", json!({ "error": why })).into_bytes(),
            Self::Page => {
                let mut page = Vec::new();
                drop(Page::without_rows(why, &mut page)); // a vector takes all
                page
            }
        };
        let mut response = self.response(status, Body::whole(body));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(LATER));
        }
        response
    }
}

/// The pieces of an answer, made one after the other.
struct Pieces {
    /// A client that does not read keeps no term from its end.
    context: Weak<Context>,
    /// Until its end is written.
    view: Option<Box<dyn View>>,
    /// What comes before the rows, until it is sent.
    begun: Vec<u8>,
    rows: vec::IntoIter<Identity>,
    now: Timestamp,
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        let view = self.view.as_mut()?;
        let Some(context) = self.context.upgrade() else {
            self.view = None;
            return Some(Err(Cut));
        };
        let mut piece = std::mem::take(&mut self.begun);
        // A vector takes all that is written.
        while piece.len() < PIECE {
            let Some(identity) = self.rows.next() else {
                drop(view.end(&mut piece));
                self.view = None;
                break;
            };
            if let Some(known) = Known::of(&identity, &context) {
                drop(view.row(&known.row(&context, self.now), &mut piece));
            }
        }
        Some(Ok(piece.into()))
    }
}
