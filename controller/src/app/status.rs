//! `kube-autorollout status`: shows the state of the workloads of a controller.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    time::Duration,
};

use http::Uri;
use kube_autorollout_core::labels::readable;
use kube_autorollout_overview::{Detail, Json, Overview, Table};
use kube_autorollout_registry::{self as registry, ExternalClient, ExternalRequest};
use serde::Deserialize;

use crate::{
    app::arguments::{StatusOutput, StatusRequest},
    config::Config,
    registry::options,
};

/// The time limit of the request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum size of a response in bytes: the container of the controller has little memory.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The maximum number of characters shown of a controller's error, which may come from another server.
const MAX_REASON: usize = 300;

/// The state of the workloads.
pub(crate) struct StatusReport {
    /// The text for standard output.
    pub(crate) text: String,
    pub(crate) needs_person: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No client can be built from the configuration and the environment.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// The URL is not one of a controller.
    #[error("invalid URL of a controller; allowed: http://<host>:<port>")]
    Url,
    /// The controller cannot be reached.
    #[error("cannot reach the controller at {url}")]
    Unreachable {
        url: String,
        source: registry::Error,
    },
    /// The controller responds with an error.
    #[error("the controller responded with status {status}: {reason}")]
    Refused { status: u16, reason: Box<str> },
    /// The response is not one of a controller, or of a newer version.
    #[error("the response cannot be read by this version")]
    Unreadable(#[source] serde_json::Error),
}

impl Error {
    /// Whether the arguments, the configuration or the environment are invalid.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Url)
    }
}

/// The body of an error response of a controller.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// Requests the overview of the controller in this pod, or at the given URL.
///
/// # Errors
///
/// [`Error`] if the arguments are invalid, or the controller does not respond with an overview.
pub(crate) async fn run(
    request: &StatusRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<StatusReport, Error> {
    let (client, base) = controller(request, config, environment)?;
    let url = format!("{base}/status.json{}", request.filter.query());
    let response = client.send(ExternalRequest::get(url, TIMEOUT).max_bytes(MAX_BYTES));
    let response = response
        .await
        .map_err(|source| Error::Unreachable { url: base, source })?;
    if response.status() != 200 {
        let body = serde_json::from_slice(response.body()).ok();
        let reason = body.and_then(|ErrorBody { error }| readable(&error, MAX_REASON));
        return Err(Error::Refused {
            status: response.status(),
            reason: reason.unwrap_or_else(|| "no controller responds there".into()),
        });
    }
    let overview: Overview<'_> =
        serde_json::from_slice(response.body()).map_err(Error::Unreadable)?;
    let needs_person = overview.needs_person > 0;
    let mut text = Vec::new();
    // Writing to a vector does not fail.
    drop(match request.output {
        StatusOutput::Text => table(Detail::Normal, environment).write(&overview, &mut text),
        StatusOutput::Wide => table(Detail::Wide, environment).write(&overview, &mut text),
        StatusOutput::Json => Json::default().write_whole(overview, &mut text),
    });
    Ok(StatusReport {
        text: String::from_utf8_lossy(&text).into_owned(),
        needs_person,
    })
}

/// The client and the base URL of the controller.
fn controller(
    request: &StatusRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<(ExternalClient, String), Error> {
    let Some(url) = &request.url else {
        let local = format!("http://127.0.0.1:{}", config.port);
        return Ok((options::replica_client()?, local));
    };
    let parsed: Uri = url.parse().map_err(|_| Error::Url)?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.query().is_some() {
        return Err(Error::Url);
    }
    let base = url.trim_end_matches('/').to_owned();
    Ok((options::external_client(config, environment)?, base))
}

/// A table, coloured if standard output is a terminal (<https://no-color.org>).
fn table(detail: Detail, environment: &BTreeMap<String, String>) -> Table {
    let is_set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let is_dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
    Table {
        detail,
        coloured: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
    }
}
