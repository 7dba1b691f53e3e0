//! Sends a message as a request.

use std::{fs, time::Duration};

use kube_autorollout_notifications::{
    Body, InvalidTarget, Message, SIGNATURE_HEADER, SigningKey, Sink, Target,
};
use kube_autorollout_registry::{
    self as registry, ExternalClient, ExternalRequest, ExternalResponse,
};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to one sink.
pub(crate) struct Request {
    pub(super) sink: Sink,
    cluster: String,
}

/// A message could not be sent. No message of it contains more of the URL than its host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of the sink cannot be read.
    #[error("cannot read {path}")]
    File {
        path: String,
        source: std::io::Error,
    },
    /// The file does not contain a valid URL.
    #[error("{path} has {fault}")]
    Target { path: String, fault: InvalidTarget },
    /// The file does not contain a key.
    #[error("{path} is empty")]
    Key { path: String },
    /// There was no response.
    #[error(transparent)]
    Exchange(#[from] registry::Error),
}

impl Request {
    /// Requests to this sink, with the name of the cluster.
    pub(crate) fn new(sink: Sink, cluster: String) -> Self {
        Self { sink, cluster }
    }

    /// The name of the sink, for metrics and the log.
    pub(crate) fn name(&self) -> &str {
        &self.sink.settings().name
    }

    /// The message in the format of the sink.
    pub(crate) fn body(&self, message: &Message) -> Body {
        message.body(self.sink.settings().kind, &self.cluster)
    }

    /// Sends a body. The URL and the key are read from their files each time, as they may rotate.
    pub(crate) async fn send(
        &self,
        client: &ExternalClient,
        body: &Body,
    ) -> Result<ExternalResponse, Error> {
        let target = self.target()?;
        let mut request = ExternalRequest::post(target.expose(), body.bytes.clone(), TIMEOUT)
            .header("Content-Type", body.content_type);
        if let Some(key) = self.key()? {
            request = request.header(SIGNATURE_HEADER, key.sign(&body.bytes));
        }
        Ok(client.send(request).await?)
    }

    fn target(&self) -> Result<Target, Error> {
        let settings = self.sink.settings();
        let Some(path) = &settings.url_file else {
            let none = || Error::Target {
                path: String::new(),
                fault: InvalidTarget::NotAUrl,
            };
            return settings.url.clone().ok_or_else(none); // the configuration requires one of them
        };
        let path_text = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| Error::File {
            path: path_text(),
            source,
        })?;
        text.parse().map_err(|fault| Error::Target {
            path: path_text(),
            fault,
        })
    }

    fn key(&self) -> Result<Option<SigningKey>, Error> {
        let Some(path) = &self.sink.settings().secret_file else {
            return Ok(None);
        };
        let path_text = || path.display().to_string();
        let content = fs::read(path).map_err(|source| Error::File {
            path: path_text(),
            source,
        })?;
        let key = SigningKey::new(&content).map_err(|_| Error::Key { path: path_text() })?;
        Ok(Some(key))
    }
}
