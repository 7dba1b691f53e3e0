//! `kube-autorollout status`: asks a controller where the workloads stand, and shows it.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    time::Duration,
};

use http::Uri;
use kube_autorollout_core::labels::readable;
use kube_autorollout_overview::{Detail, Json, Overview, Table};
use kube_autorollout_registry::{TokenClient, TokenRequest};
use serde::Deserialize;

use crate::{
    app::arguments::{Format, StatusRequest},
    config::Config,
    registry::options,
};

/// The controller has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes: in the controller's container there is little memory.
const LONGEST: usize = 64 * 1024 * 1024;

/// Characters of the reason why a controller does not answer, which anybody may have written: more is cut off.
const LONGEST_REASON: usize = 300;

/// What is shown.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) needs_person: bool,
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The user has to correct it.
    #[error(transparent)]
    Misused(#[from] Misused),
    /// There is no controller, or it cannot be reached.
    #[error("cannot ask the controller at {url}")]
    Unreachable {
        url: String,
        source: kube_autorollout_registry::Error,
    },
    /// It says why it cannot answer.
    #[error("the controller answers with status {status}: {why}")]
    Refused { status: u16, why: Box<str> },
    /// The answer is none of a controller, or of a newer one.
    #[error("the answer cannot be read by this version")]
    Unreadable(#[source] serde_json::Error),
}

/// Why nobody was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misused {
    /// The configuration or the environment asks for what no client can do.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// Not a URL of a controller.
    #[error("invalid URL of a controller; allowed: http://<host>:<port>")]
    Url,
}

/// What a controller says that cannot answer.
#[derive(Deserialize)]
struct Why {
    error: String,
}

/// Asks a controller: the one beside this process, or that of the URL.
///
/// # Errors
///
/// [`Error`] when it does not answer.
pub(crate) async fn run(
    request: &StatusRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Shown, Error> {
    let (client, base) = controller(request, config, environment)?;
    let url = format!("{base}/status.json{}", request.filter.query());
    let asked = TokenRequest::get(url, TIMEOUT).longest(LONGEST);
    let answered = client.send(asked).await;
    let answer = answered.map_err(|source| Error::Unreachable { url: base, source })?;
    if answer.status() != 200 {
        let why = serde_json::from_slice(answer.body()).ok();
        let why = why.and_then(|Why { error }| readable(&error, LONGEST_REASON));
        return Err(Error::Refused {
            status: answer.status(),
            why: why.unwrap_or_else(|| "no controller answers there".into()),
        });
    }
    let overview: Overview<'_> =
        serde_json::from_slice(answer.body()).map_err(Error::Unreadable)?;
    let needs_person = overview.needs_person > 0;
    let mut out = Vec::new();
    // A vector takes all that is written.
    drop(match request.format {
        Format::Text => table(Detail::Normal, environment).write(&overview, &mut out),
        Format::Wide => table(Detail::Wide, environment).write(&overview, &mut out),
        Format::Json => Json::default().write_whole(overview, &mut out),
    });
    Ok(Shown {
        text: String::from_utf8_lossy(&out).into_owned(),
        needs_person,
    })
}

/// Who is asked, and with which client.
fn controller(
    request: &StatusRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<(TokenClient, String), Misused> {
    let Some(url) = &request.url else {
        let beside = format!("http://127.0.0.1:{}", config.port);
        return Ok((options::within_the_cluster()?, beside));
    };
    let parsed: Uri = url.parse().map_err(|_| Misused::Url)?;
    let is_base = matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.query().is_none();
    if !is_base {
        return Err(Misused::Url);
    }
    let base = url.trim_end_matches('/').to_owned();
    Ok((options::single_requests(config, environment)?, base))
}

/// A table, with colours where somebody sees them (<https://no-color.org>).
fn table(detail: Detail, environment: &BTreeMap<String, String>) -> Table {
    let is_set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let is_dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
    Table {
        detail,
        coloured: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
    }
}
