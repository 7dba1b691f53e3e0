//! A request to a host.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT},
};
use http_body_util::Full;

use crate::{credential::Fingerprint, observer::Operation, origin::Origin};

/// The account that a request counts for; none: anonymous.
pub(crate) type Account = Option<Fingerprint>;

/// A request to a host.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) uri: Uri,
    /// The accepted media types.
    pub(crate) accept: Option<&'static str>,
    /// The largest body that is read, in bytes.
    pub(crate) max_bytes: usize,
    pub(crate) authorization: Option<HeaderValue>,
    /// Replaces `authorization` at this origin, if the host redirects there.
    pub(crate) redirect_authorization: Option<(Origin, HeaderValue)>,
    pub(crate) account: Account,
    /// The entity tag of the cached descriptor.
    pub(crate) if_none_match: Option<HeaderValue>,
    /// Fields of a form, sent by POST.
    pub(crate) form: Option<Bytes>,
}

impl Request {
    /// A GET or HEAD without credentials.
    pub(crate) fn new(operation: Operation, uri: Uri, max_bytes: usize) -> Self {
        Self {
            operation,
            uri,
            accept: None,
            max_bytes,
            authorization: None,
            redirect_authorization: None,
            account: None,
            if_none_match: None,
            form: None,
        }
    }

    /// Whether it presents a credential to a token server. It is not retried once it may have been sent: a refresh token may be valid once only, and a
    /// server that failed may have counted a failed login.
    pub(crate) fn is_login(&self) -> bool {
        self.operation == Operation::Token && (self.form.is_some() || self.authorization.is_some())
    }

    /// Converts it to an HTTP request.
    pub(crate) fn to_http(&self, user_agent: &HeaderValue) -> http::Request<Full<Bytes>> {
        let form_type = self
            .form
            .as_ref()
            .map(|_| "application/x-www-form-urlencoded");
        let headers = [
            (USER_AGENT, Some(user_agent.clone())),
            (ACCEPT, self.accept.map(HeaderValue::from_static)),
            (AUTHORIZATION, self.authorization.clone()),
            (IF_NONE_MATCH, self.if_none_match.clone()),
            (CONTENT_TYPE, form_type.map(HeaderValue::from_static)),
        ];
        let headers = headers.into_iter();
        let headers = headers.filter_map(|(name, value)| Some((name, value?)));
        let mut request = http::Request::new(Full::new(self.form.clone().unwrap_or_default()));
        *request.method_mut() = match (&self.form, self.operation) {
            (Some(_), _) => Method::POST,
            (None, Operation::Head) => Method::HEAD,
            (None, Operation::Get | Operation::Token) => Method::GET,
        };
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().extend(headers);
        request
    }
}
