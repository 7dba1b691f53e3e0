//! One message as one request.

use std::{fs, time::Duration};

use kube_autorollout_notifications::{
    Body, InvalidTarget, Message, SIGNATURE_HEADER, SigningKey, Sink, Target,
};
use kube_autorollout_registry::{self as registry, TokenClient, TokenRequest, TokenResponse};

/// A sink has so long for each request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How requests to one sink are made.
pub(crate) struct Request {
    pub(super) sink: Sink,
    cluster: String,
}

/// Why a message could not be sent. No text repeats anything of the URL but its host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    /// A file of the sink cannot be read.
    #[error("cannot read {path}")]
    File {
        path: String,
        source: std::io::Error,
    },
    /// The file of the URL has none.
    #[error("{path} has {fault}")]
    Target { path: String, fault: InvalidTarget },
    /// The file of the key has none.
    #[error("{path} is empty")]
    Key { path: String },
    /// Nothing was answered.
    #[error(transparent)]
    Exchange(#[from] registry::Error),
}

impl Request {
    /// To this sink, in the name of a cluster.
    pub(crate) fn new(sink: Sink, cluster: String) -> Self {
        Self { sink, cluster }
    }

    /// Its name in metrics and the log.
    pub(crate) fn name(&self) -> &str {
        &self.sink.settings().name
    }

    /// The message as the sink takes it.
    pub(crate) fn body(&self, message: &Message) -> Body {
        message.body(self.sink.settings().kind, &self.cluster)
    }

    /// Sends a body to where the URL, which may be in a file that has changed, leads now.
    pub(crate) async fn send(
        &self,
        client: &TokenClient,
        body: &Body,
    ) -> Result<TokenResponse, Unsent> {
        let target = self.target()?;
        let mut request = TokenRequest::post(target.expose(), body.bytes.clone(), TIMEOUT)
            .header("Content-Type", body.content_type);
        if let Some(key) = self.key()? {
            request = request.header(SIGNATURE_HEADER, key.sign(&body.bytes));
        }
        Ok(client.send(request).await?)
    }

    fn target(&self) -> Result<Target, Unsent> {
        let settings = self.sink.settings();
        let Some(path) = &settings.url_file else {
            let none = || Unsent::Target {
                path: String::new(),
                fault: InvalidTarget::NotAUrl,
            };
            return settings.url.clone().ok_or_else(none); // one of both is there, or the start was refused
        };
        let shown = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| Unsent::File {
            path: shown(),
            source,
        })?;
        text.parse().map_err(|fault| Unsent::Target {
            path: shown(),
            fault,
        })
    }

    fn key(&self) -> Result<Option<SigningKey>, Unsent> {
        let Some(path) = &self.sink.settings().secret_file else {
            return Ok(None);
        };
        let shown = || path.display().to_string();
        let content = fs::read(path).map_err(|source| Unsent::File {
            path: shown(),
            source,
        })?;
        let key = SigningKey::new(&content).map_err(|_| Unsent::Key { path: shown() })?;
        Ok(Some(key))
    }
}
