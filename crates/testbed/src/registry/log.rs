//! The requests to a registry, from its access log.

use std::path::PathBuf;

use crate::process::{Lines, LogError, Mark};

/// A request that a registry has responded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The status code of the response.
    pub status: u16,
    /// The client's `User-Agent`.
    pub user_agent: String,
}

/// The access log of one registry. A request is logged before its response is sent, unless that is a long blob: the request
/// for a manifest that was received is always in it.
#[derive(Debug, Clone)]
pub struct RequestLog {
    lines: Lines,
}

impl RequestLog {
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

    /// All requests, oldest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn requests(&self) -> Result<Vec<Request>, LogError> {
        self.requests_since(Mark::default())
    }

    /// The requests of controllers whose paths contain `part`, such as a repository.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn of_controllers(&self, part: &str) -> Result<Vec<Request>, LogError> {
        let mut requests = self.requests()?;
        requests.retain(|request| {
            request.user_agent.starts_with("kube-autorollout/") && request.path.contains(part)
        });
        Ok(requests)
    }

    /// The requests since `mark`, oldest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn requests_since(&self, mark: Mark) -> Result<Vec<Request>, LogError> {
        let text = self.lines.since(mark)?;
        let parse = |line: &str| parse(line).ok_or_else(|| self.lines.unparsed(line));
        text.lines().map(parse).collect()
    }
}

/// Reads a line of the combined log format:
/// `host - user [time] "method target protocol" status size "referrer" "agent"`.
fn parse(line: &str) -> Option<Request> {
    let mut parts = line.splitn(6, '"').skip(1);
    let (request, status) = (parts.next()?, parts.next()?);
    let user_agent = parts.nth(2)?.strip_suffix('"')?;
    let (method, target) = request.split_once(' ')?;
    let (target, _protocol) = target.rsplit_once(' ')?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        status: status.split_whitespace().next()?.parse().ok()?,
        user_agent: user_agent.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_combined_format_is_read_without_its_query() {
        let line = r#"127.0.0.1 - - [23/Nov/2026:22:28:16 +0000] "HEAD /v2/a/b/manifests/v1?n=1 HTTP/1.1" 404 96 "" "kube-autorollout/0.6.0 (+x)""#;
        let expected = Request {
            method: "HEAD".to_owned(),
            path: "/v2/a/b/manifests/v1".to_owned(),
            status: 404,
            user_agent: "kube-autorollout/0.6.0 (+x)".to_owned(),
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("something else"), None);
    }
}
