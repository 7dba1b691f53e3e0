//! The outcome of a hint, as text and exit code.

use crate::hints::{Report, Row};

/// The outcome of a hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit code.
    pub(crate) code: u8,
    /// The text for standard output.
    pub(crate) text: String,
}

/// All workloads run the image, or the hint was accepted.
const SUCCESS: u8 = 0;

/// A workload does not run the image.
const FAILED: u8 = 1;

/// The hint was not accepted.
const MISUSED: u8 = 2;

/// The wait timed out.
const TIMED_OUT: u8 = 3;

impl Outcome {
    /// The outcome for a response of the controller.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        let reports = match body.first() {
            Some(b'[') => serde_json::from_slice(body).ok(),
            _ => serde_json::from_slice(body).ok().map(|report| vec![report]),
        };
        let reports: Option<Vec<Report>> = reports;
        match (status, reports) {
            (200, Some(reports)) => Self::with_reports(SUCCESS, &reports, ""),
            (409, Some(reports)) if reports.is_empty() => Self::new(
                FAILED,
                "the receiver may not announce this image: see its images",
            ),
            (409, Some(reports)) => Self::with_reports(FAILED, &reports, ""),
            (504, Some(reports)) => Self::with_reports(TIMED_OUT, &reports, "timed out\n"),
            (504, None) => Self::new(
                TIMED_OUT,
                "a proxy before the controller timed out: raise its timeout above --wait",
            ),
            (200 | 202, _) => Self::new(SUCCESS, "accepted"),
            (401, _) => Self::new(
                MISUSED,
                "not authenticated: the secret or the token is not one that the receiver accepts",
            ),
            (404, _) => Self::new(MISUSED, "there is no such receiver: check the URL"),
            (status, _) => {
                let reason = String::from_utf8_lossy(body);
                let reason = reason.trim().chars().filter(|char| !char.is_control());
                let reason: String = reason.take(200).collect();
                Self::new(
                    MISUSED,
                    &format!("not accepted (status {status}): {reason}"),
                )
            }
        }
    }

    /// The outcome if no attempt succeeds.
    pub(super) fn unreachable(reason: &str) -> Self {
        Self::new(
            FAILED,
            &format!("the controller does not respond: {reason}"),
        )
    }

    fn new(code: u8, text: &str) -> Self {
        Self {
            code,
            text: format!("{text}\n"),
        }
    }

    fn with_reports(code: u8, reports: &[Report], head: &str) -> Self {
        let text = reports.iter().map(render).collect::<String>();
        Self {
            code,
            text: format!("{head}{text}"),
        }
    }
}

/// An image, with a line for each of its workloads.
fn render(report: &Report) -> String {
    let image = &report.image;
    if report.workloads.is_empty() {
        return format!("{image}\n  no workload runs it\n");
    }
    let digest = report.digest.as_deref().unwrap_or("no digest");
    let rows = report.workloads.iter().map(|row| line(row, digest));
    format!("{image}\n{}", rows.collect::<String>())
}

fn line(row: &Row, digest: &str) -> String {
    let state = match (&*row.state, row.rolled_out) {
        ("UpToDate", true) => format!("rolled out, {digest}, {} s", row.seconds),
        ("UpToDate", false) => format!("already runs {digest}"),
        (state, _) => match &row.reason {
            Some(reason) => format!("{state}: {reason}"),
            None => state.to_owned(),
        },
    };
    format!("  {} {}/{}: {state}\n", row.kind, row.namespace, row.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(status: u16, body: &str) -> (u8, String) {
        let Outcome { code, text } = Outcome::of(status, body.as_bytes());
        (code, text)
    }

    #[test]
    fn each_response_has_an_exit_code_and_a_text() {
        let row = |state: &str, rolled_out: bool| {
            json!({ "image": "ghcr.io/team/web:main", "digest": "sha256:ab", "workloads": [{
                "namespace": "shop", "kind": "Deployment", "name": "web", "state": state, "reason": "OnHold",
                "rolledOut": rolled_out, "seconds": 41,
            }]})
            .to_string()
        };
        let table = [
            (202, "accepted\n".to_owned(), 0, "accepted"),
            (
                200,
                row("UpToDate", true),
                0,
                "Deployment shop/web: rolled out, sha256:ab, 41 s",
            ),
            (200, row("UpToDate", false), 0, "already runs sha256:ab"),
            (409, row("Held", false), 1, "Held: OnHold"),
            (409, "[]".to_owned(), 1, "may not announce this image"),
            (
                409,
                json!({ "image": "ghcr.io/team/web", "workloads": [] }).to_string(),
                1,
                "no workload runs it",
            ),
            (504, row("RollingOut", true), 3, "timed out"),
            (504, "<html>".to_owned(), 3, "proxy"),
            (
                401,
                "not authenticated\n".to_owned(),
                2,
                "not authenticated",
            ),
            (404, String::new(), 2, "receiver"),
            (302, "\u{1b}[31mred".to_owned(), 2, "status 302): [31mred"),
        ];
        for (status, body, code, text) in table {
            let (found, rendered) = outcome(status, &body);
            assert_eq!(found, code, "{status}: {rendered}");
            assert!(rendered.contains(text), "{status}: {rendered}");
        }
    }
}
