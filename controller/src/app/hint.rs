//! `kube-autorollout hint`: announces images to a controller, and waits for their workloads.

mod answer;
mod token;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use http::Uri;
use kube_autorollout_core::reference;
use kube_autorollout_registry::{TokenClient, TokenRequest, TokenResponse};
use serde_json::json;
use tokio::time::{Instant, interval_at, sleep};

use self::{answer::Ended, token::TokenError};
use crate::{app::arguments::HintRequest, config::Config, error_chain::Chain, registry::options};

/// Where the controller takes hints, if `--url` is not given.
const URL: &str = "KUBE_AUTOROLLOUT_URL";

/// Variables that are no keys of the configuration.
pub(crate) const VARIABLES: [&str; 2] = [URL, token::TOKEN];

/// How long the controller may take besides the wait.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So often is asked in all where no replica leads, or none can be reached.
const ATTEMPTS: u32 = 4;

/// The pause between them, where the answer names none.
const PAUSE: Duration = Duration::from_secs(5);

/// How often a terminal shows how long has been waited.
const PROGRESS: Duration = Duration::from_secs(1);

/// Why no hint was sent; the user has to correct it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration or the environment asks for what no client can do.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// There is nobody to send it to.
    #[error("where to? Pass --url or set {URL}, such as https://hints.example.org/hooks/ci")]
    NoUrl,
    /// Not a URL of a receiver.
    #[error("invalid URL of a receiver; allowed: https://<host>/hooks/<receiver>")]
    Url,
    /// Not an image.
    #[error("invalid image {image}: {reason}")]
    Image {
        /// As it was given.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to authenticate with.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Sends the hint; returns how it ended.
///
/// # Errors
///
/// [`Error`] when it cannot be sent at all.
pub(crate) async fn run(
    request: &HintRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Ended, Error> {
    for image in &request.images {
        reference::parse(image).map_err(|error| Error::Image {
            image: image.clone(),
            reason: error.to_string(),
        })?;
    }
    let client = options::single_requests(config, environment)?;
    let url = url(request, environment)?;
    let token = token::find(request.token_file.as_deref(), environment, &client).await?;
    let sent = Sent {
        client,
        url,
        body: json!({ "images": request.images }).to_string(),
        token,
        timeout: request.wait.unwrap_or_default().saturating_add(TIMEOUT),
    };
    let waits = request.wait.is_some();
    if waits {
        show(&format!("waiting for {}", request.images.join(", ")));
    }
    Ok(sent.progressing(waits).await)
}

/// The URL of the receiver, with how long to wait.
fn url(request: &HintRequest, environment: &BTreeMap<String, String>) -> Result<String, Error> {
    let set = environment.get(URL).filter(|url| !url.is_empty());
    let url = request.url.as_ref().or(set).ok_or(Error::NoUrl)?;
    let parsed: Uri = url.parse().map_err(|_| Error::Url)?;
    let is_receiver = matches!(parsed.scheme_str(), Some("http" | "https"))
        && parsed.path().contains("/hooks/")
        && parsed.query().is_none();
    if !is_receiver {
        return Err(Error::Url);
    }
    let wait = request
        .wait
        .map(|wait| format!("?wait={}s", wait.as_secs()));
    Ok(format!("{url}{}", wait.unwrap_or_default()))
}

/// A hint that is sent.
struct Sent {
    client: TokenClient,
    url: String,
    body: String,
    token: String,
    timeout: Duration,
}

impl Sent {
    /// Sends it, and shows on a terminal that it is waited for.
    async fn progressing(&self, waits: bool) -> Ended {
        let begun = Instant::now();
        let mut ticks = interval_at(begun + PROGRESS, PROGRESS);
        let is_shown = waits && io::stderr().is_terminal();
        let answer = self.answer();
        tokio::pin!(answer);
        loop {
            tokio::select! {
                ended = &mut answer => {
                    if is_shown {
                        show_progress("");
                    }
                    return ended;
                }
                _ = ticks.tick(), if is_shown => {
                    show_progress(&format!("{} s", begun.elapsed().as_secs()));
                }
            }
        }
    }

    /// Sends it until some replica that leads has answered.
    async fn answer(&self) -> Ended {
        let mut attempt = 1;
        loop {
            let answered = self.once().await;
            let (why, pause) = match &answered {
                Ok(response) if matches!(response.status(), 429 | 503) => {
                    let seconds = response
                        .header("retry-after")
                        .and_then(|it| it.parse().ok());
                    let pause = seconds.map_or(PAUSE, Duration::from_secs).min(self.timeout);
                    (format!("status {}", response.status()), pause)
                }
                Ok(response) => return Ended::of(response.status(), response.body()),
                Err(error) => (Chain(error).to_string(), PAUSE),
            };
            if attempt == ATTEMPTS {
                return Ended::unanswered(&why);
            }
            attempt += 1;
            show(&format!("no answer yet ({why}), trying again"));
            sleep(pause).await;
        }
    }

    async fn once(&self) -> Result<TokenResponse, kube_autorollout_registry::Error> {
        let request = TokenRequest::post(&*self.url, self.body.clone(), self.timeout)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token));
        self.client.send(request).await
    }
}

/// Writes a line for people: standard output has the result only.
fn show(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Writes over the line of before.
fn show_progress(text: &str) {
    drop(write!(io::stderr(), "\r\u{1b}[K{text}"));
}
