//! The requests to the API server, from its audit log.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::process::{Lines, LogError, Mark};

/// The policy of the API server: one line of metadata per request; a watch is logged when it starts. Patches of
/// workloads are logged with their body.
///
/// The server's requests to itself are left out.
pub(super) const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [
    {"level": "None", "users": ["system:apiserver"]},
    {"level": "Request", "verbs": ["patch"], "resources": [{"group": "apps", "resources": ["deployments", "statefulsets", "daemonsets"]}]},
    {"level": "Metadata"}
  ]
}
"#;

/// A request that the API server has responded to, or a watch that has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, … or the lower-case HTTP method for other paths.
    pub verb: String,
    /// The plural resource; empty for paths such as `/readyz`.
    pub resource: String,
    /// `status`, `scale`, …; empty for the resource itself.
    pub subresource: String,
    /// The namespace; empty for what has none and for lists over all.
    pub namespace: String,
    /// The object's name; empty for lists and most creations.
    pub name: String,
    /// The user: `system:serviceaccount:<namespace>:<name>` for a pod's identity.
    pub user: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// The status code of the response.
    pub code: u16,
    /// When the request was received.
    pub at: Timestamp,
    /// When the response was complete; for a watch, when it started.
    pub done: Timestamp,
    /// The body of a patch of a workload; `None` for other requests.
    pub body: Option<Value>,
}

/// The audit log of one API server. A request is logged before its response is sent, so one whose response was received is
/// always in it.
#[derive(Debug, Clone)]
pub struct Audit {
    lines: Lines,
}

impl Audit {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            lines: Lines::new(file),
        }
    }

    /// The present end of the log.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn mark(&self) -> Result<Mark, LogError> {
        self.lines.mark()
    }

    /// All requests that pass the filter, oldest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn requests(&self, filter: impl Fn(&Request) -> bool) -> Result<Vec<Request>, LogError> {
        self.requests_since(Mark::default(), filter)
    }

    /// The requests since `mark` that pass the filter, oldest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn requests_since(
        &self,
        mark: Mark,
        filter: impl Fn(&Request) -> bool,
    ) -> Result<Vec<Request>, LogError> {
        let text = self.lines.since(mark)?;
        self.parse(text.lines(), filter)
    }

    /// The requests of a user since `mark`, oldest first; moves `mark` to the end, so that nothing is read twice.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn news_of(&self, user: &str, mark: &mut Mark) -> Result<Vec<Request>, LogError> {
        let text = self.lines.since(*mark)?;
        *mark = mark.after(&text);
        let lines = text.lines().filter(|line| line.contains(user));
        self.parse(lines, |request| request.user == user)
    }

    fn parse<'a>(
        &self,
        lines: impl Iterator<Item = &'a str>,
        filter: impl Fn(&Request) -> bool,
    ) -> Result<Vec<Request>, LogError> {
        let mut requests = Vec::new();
        for line in lines {
            let event: Option<Event> = serde_json::from_str(line).ok();
            let event = event.or_else(|| after_a_kill(line));
            let event = event.ok_or_else(|| self.lines.unparsed(line))?;
            requests.extend(event.into_request().filter(&filter));
        }
        Ok(requests)
    }
}

/// The event of a line that begins with what a server that was killed had written of another.
fn after_a_kill(line: &str) -> Option<Event> {
    let begin = line.rfind(BEGIN).filter(|begin| *begin > 0)?;
    serde_json::from_str(line.get(begin..)?).ok()
}

/// How each event begins.
const BEGIN: &str = r#"{"kind":"Event","#;

/// An event of `audit.k8s.io/v1`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectReference,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
    #[serde(default)]
    request_object: Option<Value>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectReference {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl Event {
    /// A watch makes two events, at its start and at its end, and only the first is the request; a watch that is refused
    /// has only an end.
    fn into_request(self) -> Option<Request> {
        let code = self.response_status.code;
        let ends_a_watch = self.verb == "watch" && self.stage == "ResponseComplete" && code < 400;
        (!ends_a_watch).then_some(Request {
            verb: self.verb,
            resource: self.object_ref.resource,
            subresource: self.object_ref.subresource,
            namespace: self.object_ref.namespace,
            name: self.object_ref.name,
            user: self.user.username,
            user_agent: self.user_agent,
            code,
            at: self.request_received_timestamp,
            done: self.stage_timestamp,
            body: self.request_object,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn event(verb: &str, stage: &str, code: u16) -> String {
        format!(
            r#"{{"stage":"{stage}","requestURI":"/x","verb":"{verb}","user":{{"username":"a"}},"userAgent":"b/1","objectRef":{{"resource":"pods","namespace":"n","apiVersion":"v1"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:01Z"}}"#
        ) + "\n"
    }

    #[test]
    fn an_event_that_was_cut_off_by_a_kill_does_not_hide_the_next() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let audit = Audit::new(file.path().to_owned());
        let whole = event("list", "ResponseComplete", 200).replacen('{', BEGIN, 1);
        let text = format!("{}{whole}{whole}", &whole[..whole.len() / 2]);
        fs::write(file.path(), text).expect("writable");
        let requests = audit.requests(|_| true).expect("readable");
        assert_eq!(requests.len(), 2);
        fs::write(file.path(), format!("nonsense{whole}")).expect("writable");
        assert_eq!(audit.requests(|_| true).expect("readable").len(), 1);
        fs::write(file.path(), "nonsense\n").expect("writable");
        audit.requests(|_| true).expect_err("no event at all");
    }

    #[test]
    fn a_watch_counts_once_when_it_starts_or_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let audit = Audit::new(file.path().to_owned());
        let text = [
            event("list", "ResponseComplete", 200),
            event("watch", "ResponseStarted", 200),
            event("watch", "ResponseComplete", 200),
            event("watch", "ResponseComplete", 403),
        ];
        fs::write(file.path(), text.concat()).expect("writable");
        let requests = audit.requests(|request| request.namespace == "n");
        let seen: Vec<(String, u16)> = requests
            .expect("readable")
            .into_iter()
            .map(|request| (request.verb, request.code))
            .collect();
        let expected = [("list", 200), ("watch", 200), ("watch", 403)];
        assert_eq!(seen, expected.map(|(verb, code)| (verb.to_owned(), code)));
        let none = audit.requests(|request| request.user == "somebody else");
        assert_eq!(none.expect("readable"), []);
        let mut mark = Mark::default();
        let news = |mark: &mut Mark| audit.news_of("a", mark).expect("readable").len();
        assert_eq!((news(&mut mark), news(&mut mark)), (3, 0));
    }
}
