//! `kube-autorollout check`: resolves images as the controller does, and prints the result.

mod json;
mod resolver;
mod result;
mod text;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use kube_autorollout_core::reference;
use kube_autorollout_registry::{DockerConfigError, Keyring, NoopObserver};
use tokio::time::{Instant, interval_at};

use self::{resolver::Resolver, result::CheckResult};
use crate::{
    app::arguments::{CheckOutput, CheckRequest},
    config::Config,
    registry::{credentials::Configured, options},
};

/// The interval at which a terminal shows the pending images.
const PROGRESS: Duration = Duration::from_secs(3);

/// The maximum number of images in a line of progress.
const MAX_SHOWN: usize = 3;

/// A usage error, for which no image is resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No client can be built from the configuration and the environment.
    #[error(transparent)]
    Registry(#[from] options::Error),
    /// The file cannot be read.
    #[error("cannot read the Docker configuration {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file is not a Docker configuration.
    #[error("invalid Docker configuration {}", .0.display())]
    Malformed(PathBuf, #[source] DockerConfigError),
}

/// The results for all images.
pub(crate) struct Report {
    /// In the order of the arguments.
    results: Vec<CheckResult>,
}

impl Report {
    /// Whether all images resolved.
    pub(crate) fn all_resolved(&self) -> bool {
        self.results.iter().all(|checked| checked.result.is_ok())
    }

    /// The report for standard output.
    pub(crate) fn render(&self, output: CheckOutput) -> String {
        match output {
            CheckOutput::Text => text::render(&self.results),
            CheckOutput::Json => json::render(&self.results),
        }
    }
}

/// Resolves all images concurrently.
///
/// # Errors
///
/// [`Error`] if no client can be built, or the Docker configuration cannot be read. An image that cannot be resolved is a result.
pub(crate) async fn run(
    request: &CheckRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Report, Error> {
    let observer = Arc::new(kube_autorollout_cloud::NoopObserver);
    let identities = options::identities(config, environment, observer)?;
    let resolver = Resolver {
        client: options::registry_client(
            config,
            environment,
            Arc::new(NoopObserver),
            options::CHECK_REQUESTS,
        )?,
        keyring: keyring(request.docker_config.as_deref())?,
        configured: Configured::new(&config.registries, identities),
        platforms: config.platforms.clone(),
    };
    let terminal = io::stderr().is_terminal();
    let progress = |line: &str| {
        if terminal {
            drop(writeln!(io::stderr(), "{line}"));
        }
    };
    let images = distinct(&request.images);
    let results = check_all(&images, async |image| resolver.check(image).await, progress).await;
    Ok(Report {
        results: in_order(&request.images, results),
    })
}

fn keyring(path: Option<&Path>) -> Result<Keyring, Error> {
    let mut keyring = Keyring::default();
    if let Some(path) = path {
        let json = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let added = keyring.add_config_json(&json);
        added.map_err(|error| Error::Malformed(path.to_owned(), error))?;
    }
    Ok(keyring)
}

/// The images, each once, even if they are written differently.
fn distinct(images: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let images = images.iter().filter(|image| seen.insert(full_name(image)));
    images.cloned().collect()
}

/// The full name of an image, or the text itself if it is invalid.
fn full_name(image: &str) -> String {
    reference::parse(image).map_or_else(|_| image.to_owned(), |reference| reference.whole())
}

/// A result for each of `images`, from the results of the distinct ones.
fn in_order(images: &[String], results: Vec<CheckResult>) -> Vec<CheckResult> {
    let results = results.into_iter();
    let results: HashMap<_, _> = results
        .map(|checked| (full_name(&checked.image), checked.result))
        .collect();
    let result = |image: &String| {
        let result = results.get(&full_name(image))?.clone();
        let image = image.clone();
        Some(CheckResult { image, result })
    };
    images.iter().filter_map(result).collect()
}

/// Checks all images concurrently. The results are in the order of the images.
async fn check_all(
    images: &[String],
    check: impl AsyncFn(&str) -> CheckResult,
    progress: impl Fn(&str),
) -> Vec<CheckResult> {
    let check = &check;
    let mut checks: FuturesUnordered<_> = images
        .iter()
        .enumerate()
        .map(|(index, image)| async move { (index, check(image).await) })
        .collect();
    let mut results = BTreeMap::new();
    let started = Instant::now();
    let mut ticks = interval_at(started + PROGRESS, PROGRESS);
    loop {
        tokio::select! {
            result = checks.next() => match result {
                Some((index, result)) => {
                    results.insert(index, result);
                }
                None => return results.into_values().collect(),
            },
            _ = ticks.tick() => progress(&pending(images, &results, started.elapsed())),
        }
    }
}

/// The line of progress with the pending images.
fn pending(images: &[String], results: &BTreeMap<usize, CheckResult>, elapsed: Duration) -> String {
    let pending = images.iter().enumerate();
    let pending = pending.filter(|(index, _)| !results.contains_key(index));
    let mut shown: Vec<&str> = pending.map(|(_, image)| image.as_str()).collect();
    let count = shown.len();
    if count > MAX_SHOWN {
        shown.truncate(MAX_SHOWN);
        shown.push("…");
    }
    format!(
        "{} s: waiting for {count} of {} images: {}",
        elapsed.as_secs(),
        images.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::{result::tests::resolved, *};

    #[tokio::test(start_paused = true)]
    async fn results_keep_the_order_of_the_images_and_pending_ones_are_reported() {
        let images = ["slow", "quick", "slower", "slower", "slower", "slower"].map(str::to_owned);
        let lines = RefCell::new(Vec::new());
        let check = async |image: &str| {
            let seconds = match image {
                "quick" => 1,
                "slow" => 4,
                _ => 7,
            };
            sleep(Duration::from_secs(seconds)).await;
            CheckResult {
                image: image.to_owned(),
                result: Ok(resolved()),
            }
        };
        let results = check_all(&images, check, |line| {
            lines.borrow_mut().push(line.to_owned());
        })
        .await;
        let order: Vec<_> = results.into_iter().map(|checked| checked.image).collect();
        assert_eq!(order, images);
        assert_eq!(
            lines.into_inner(),
            [
                "3 s: waiting for 5 of 6 images: slow, slower, slower, …",
                "6 s: waiting for 4 of 6 images: slower, slower, slower, …",
            ]
        );
    }

    #[test]
    fn an_image_that_is_given_twice_is_checked_once_and_has_two_results() {
        let images = ["web", "db", "docker.io/library/web:latest", "web", "!", "!"];
        let images = images.map(str::to_owned);
        let distinct = distinct(&images);
        assert_eq!(distinct, ["web", "db", "!"]);
        let results = distinct.into_iter().map(|image| CheckResult {
            image,
            result: Ok(resolved()),
        });
        let results = in_order(&images, results.collect());
        let order: Vec<_> = results.into_iter().map(|checked| checked.image).collect();
        assert_eq!(order, images);
    }

    #[test]
    fn an_invalid_docker_configuration_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let error = keyring(Some(&path)).expect_err("it does not exist");
        assert!(error.to_string().contains("config.json"), "{error}");
        fs::write(&path, r#"{"auths": {"a.io": {"auth": "planted"}}}"#).expect("a file");
        let error = keyring(Some(&path)).expect_err("it is malformed");
        let text = crate::error_chain::Chain(&error).to_string();
        assert!(
            text.contains("config.json") && !text.contains("planted"),
            "{text}"
        );
    }
}
