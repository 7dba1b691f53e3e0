//! `kube-autorollout hint`: announces images to a controller, and can wait for their workloads.

mod outcome;
mod token;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use http::Uri;
use kube_autorollout_core::reference::{self, InvalidReference};
use kube_autorollout_registry::{
    self as registry, ExternalClient, ExternalRequest, ExternalResponse,
};
use serde_json::json;
use tokio::time::{Instant, interval_at, sleep};

use self::{outcome::Outcome, token::TokenError};
use crate::{app::arguments::HintRequest, config::Config, error_chain::Chain, registry::options};

/// The URL of the receiver, unless `--url` is given.
const URL: &str = "KUBE_AUTOROLLOUT_URL";

/// Variables with our prefix that are not keys of the configuration.
pub(crate) const VARIABLES: [&str; 2] = [URL, token::TOKEN];

/// The time limit of a request, in addition to the wait.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of attempts while no replica leads, or none can be reached.
const ATTEMPTS: u32 = 4;

/// The delay between attempts, if the response has no `Retry-After`.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The interval at which a terminal shows the elapsed time.
const PROGRESS: Duration = Duration::from_secs(1);

/// A usage error, for which no hint is sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No client can be built from the configuration and the environment.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// No URL is given.
    #[error("no URL: pass --url or set {URL}, such as https://hints.example.org/hooks/ci")]
    NoUrl,
    /// The URL is not one of a receiver.
    #[error("invalid URL of a receiver; allowed: https://<host>/hooks/<receiver>")]
    Url,
    /// An image is invalid.
    #[error("invalid image {0}: {1}")]
    Image(String, InvalidReference),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Sends the hint, and waits if that is requested.
///
/// # Errors
///
/// [`Error`] if the arguments or the environment are invalid, or no token can be read or requested.
pub(crate) async fn run(
    request: &HintRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Outcome, Error> {
    for image in &request.images {
        reference::parse(image).map_err(|error| Error::Image(image.clone(), error))?;
    }
    let client = options::external_client(config, environment)?;
    let url = url(request, environment)?;
    let token = token::find(request.token_file.as_deref(), environment, &client).await?;
    let delivery = Delivery {
        client,
        url,
        body: json!({ "images": request.images }).to_string(),
        token,
        timeout: request.wait.unwrap_or_default().saturating_add(TIMEOUT),
    };
    let waits = request.wait.is_some();
    if waits {
        print_line(&format!("waiting for {}", request.images.join(", ")));
    }
    let shows_progress = waits && io::stderr().is_terminal();
    Ok(delivery.send_with_progress(shows_progress).await)
}

/// The URL of the receiver, with the duration of the wait.
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

/// A hint and its receiver.
struct Delivery {
    client: ExternalClient,
    url: String,
    body: String,
    token: String,
    timeout: Duration,
}

impl Delivery {
    /// Sends the hint, and shows the elapsed time on a terminal.
    async fn send_with_progress(&self, shows_progress: bool) -> Outcome {
        let started = Instant::now();
        let mut ticks = interval_at(started + PROGRESS, PROGRESS);
        let outcome = self.send_with_retries();
        tokio::pin!(outcome);
        loop {
            tokio::select! {
                outcome = &mut outcome => {
                    if shows_progress {
                        print_progress("");
                    }
                    return outcome;
                }
                _ = ticks.tick(), if shows_progress => {
                    print_progress(&format!("{} s", started.elapsed().as_secs()));
                }
            }
        }
    }

    /// Sends the hint until a replica that leads responds.
    async fn send_with_retries(&self) -> Outcome {
        let mut attempt = 1;
        loop {
            let (reason, delay) = match self.send().await {
                Ok(response) if matches!(response.status(), 429 | 503) => {
                    let retry_after = response.header("retry-after");
                    let seconds = retry_after.and_then(|seconds| seconds.parse().ok());
                    let delay = seconds.map_or(RETRY_DELAY, Duration::from_secs);
                    let reason = format!("status {}", response.status());
                    (reason, delay.min(self.timeout))
                }
                Ok(response) => return Outcome::of(response.status(), response.body()),
                Err(error) => (Chain(&error).to_string(), RETRY_DELAY),
            };
            if attempt == ATTEMPTS {
                return Outcome::unreachable(&reason);
            }
            attempt += 1;
            print_line(&format!("no response yet ({reason}), retrying"));
            sleep(delay).await;
        }
    }

    async fn send(&self) -> Result<ExternalResponse, registry::Error> {
        let request = ExternalRequest::post(&*self.url, self.body.clone(), self.timeout)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token));
        self.client.send(request).await
    }
}

/// Writes to standard error, as standard output is for the result.
fn print_line(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Overwrites the last line of progress.
fn print_progress(text: &str) {
    drop(write!(io::stderr(), "\r\u{1b}[K{text}"));
}
