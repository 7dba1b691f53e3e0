//! `kube-autorollout check`: resolves images as the controller does, and prints the result.

mod answer;
mod asker;
mod json;
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

use self::{answer::Answer, asker::Asker};
use crate::{
    app::arguments::{Output, Request},
    config::Config,
    registry::credentials::Configured,
    registry::options,
};

/// The interval at which a terminal shows which images are pending.
const PATIENCE: Duration = Duration::from_secs(3);

/// Images named in one line of progress.
const NAMED: usize = 3;

/// Why no image can be resolved; the user has to correct it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration or the environment asks for what no registry client can do.
    #[error(transparent)]
    Registry(#[from] options::Error),
    /// The file cannot be read.
    #[error("cannot read the Docker configuration {}", path.display())]
    Read {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no Docker configuration.
    #[error("invalid Docker configuration {}", path.display())]
    Malformed {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: DockerConfigError,
    },
}

/// What the registries said.
pub(crate) struct Report {
    /// In the order in which the images were given.
    answers: Vec<Answer>,
}

impl Report {
    /// Whether all images resolved.
    pub(crate) fn is_good(&self) -> bool {
        self.answers.iter().all(|answer| answer.result.is_ok())
    }

    /// For standard output.
    pub(crate) fn shown(&self, output: Output) -> String {
        match output {
            Output::Text => text::shown(&self.answers),
            Output::Json => json::shown(&self.answers),
        }
    }
}

/// Asks for all images at once.
///
/// # Errors
///
/// [`Error`] when nothing can be asked. An image that does not resolve is an answer, not an error.
pub(crate) async fn run(
    request: &Request,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Report, Error> {
    let observer = Arc::new(kube_autorollout_cloud::NoopObserver);
    let identities = options::identities(config, environment, observer)?;
    let asker = Asker {
        client: options::client(
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
            // Without standard error nobody waits for it.
            drop(writeln!(io::stderr(), "{line}"));
        }
    };
    let images = distinct(&request.images);
    let answers = all(&images, async |image| asker.ask(image).await, progress).await;
    Ok(Report {
        answers: for_each(&request.images, answers),
    })
}

fn keyring(path: Option<&Path>) -> Result<Keyring, Error> {
    let mut keyring = Keyring::default();
    if let Some(path) = path {
        let json = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        keyring
            .add_config_json(&json)
            .map_err(|source| Error::Malformed {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(keyring)
}

/// The images, each once, whatever ways it is written in.
fn distinct(images: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let images = images.iter().filter(|image| seen.insert(whole(image)));
    images.cloned().collect()
}

/// What an image is called in full, or as it is where that makes no sense.
fn whole(image: &str) -> String {
    reference::parse(image).map_or_else(|_| image.to_owned(), |reference| reference.whole())
}

/// The answer for each of the images that were given.
fn for_each(images: &[String], answers: Vec<Answer>) -> Vec<Answer> {
    let answers = answers.into_iter();
    let answers: HashMap<_, _> = answers
        .map(|answer| (whole(&answer.image), answer.result))
        .collect();
    let answer = |image: &String| {
        let result = answers.get(&whole(image))?.clone();
        let image = image.clone();
        Some(Answer { image, result })
    };
    images.iter().filter_map(answer).collect()
}

/// The answers in the order of the images, however long each takes.
async fn all(
    images: &[String],
    ask: impl AsyncFn(&str) -> Answer,
    progress: impl Fn(&str),
) -> Vec<Answer> {
    let ask = &ask;
    let asking = images.iter().enumerate();
    let mut asking: FuturesUnordered<_> = asking
        .map(|(place, image)| async move { (place, ask(image).await) })
        .collect();
    let mut answers = BTreeMap::new();
    let begun = Instant::now();
    let mut ticks = interval_at(begun + PATIENCE, PATIENCE);
    loop {
        tokio::select! {
            answer = asking.next() => match answer {
                Some((place, answer)) => {
                    answers.insert(place, answer);
                }
                None => return answers.into_values().collect(),
            },
            _ = ticks.tick() => progress(&waiting(images, &answers, begun.elapsed())),
        }
    }
}

/// Which images are pending.
fn waiting(images: &[String], answers: &BTreeMap<usize, Answer>, since: Duration) -> String {
    let places = images.iter().enumerate();
    let left: Vec<&str> = places
        .filter(|(place, _)| !answers.contains_key(place))
        .map(|(_, image)| image.as_str())
        .collect();
    let named: Vec<&str> = left.iter().copied().take(NAMED).collect();
    let more = if left.len() > NAMED { ", …" } else { "" };
    format!(
        "{} s: waiting for {} of {} images: {}{more}",
        since.as_secs(),
        left.len(),
        images.len(),
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::{answer::tests::resolved, *};

    #[tokio::test(start_paused = true)]
    async fn answers_keep_the_order_of_the_images_and_slow_ones_are_reported() {
        let images = ["slow", "quick", "slower", "slower", "slower", "slower"].map(str::to_owned);
        let lines = RefCell::new(Vec::new());
        let ask = async |image: &str| {
            let seconds = match image {
                "quick" => 1,
                "slow" => 4,
                _ => 7,
            };
            sleep(Duration::from_secs(seconds)).await;
            Answer {
                image: image.to_owned(),
                result: Ok(resolved()),
            }
        };
        let answers = all(&images, ask, |line| {
            lines.borrow_mut().push(line.to_owned());
        })
        .await;
        let order: Vec<_> = answers.into_iter().map(|answer| answer.image).collect();
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
    fn an_image_that_is_given_twice_is_one_and_has_two_answers() {
        let images = ["web", "db", "docker.io/library/web:latest", "web", "!", "!"];
        let images = images.map(str::to_owned);
        let distinct = distinct(&images);
        assert_eq!(distinct, ["web", "db", "!"]);
        let answers = distinct.into_iter().map(|image| Answer {
            image,
            result: Ok(resolved()),
        });
        let answers = for_each(&images, answers.collect());
        let order: Vec<_> = answers.into_iter().map(|answer| answer.image).collect();
        assert_eq!(order, images);
    }

    #[test]
    fn a_docker_configuration_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let error = keyring(Some(&path)).expect_err("it is not there");
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
