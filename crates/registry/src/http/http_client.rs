//! From an origin to the client of its host, under the options that are meant for it, and along redirects.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use http::{Uri, header::LOCATION};
use kube_autorollout_tls::TrustError;

use super::{
    call::Call,
    host_client::{HostClient, Shared},
    host_config::{HostConfig, HostConfigId},
    hosts::Hosts,
    redirect_policy,
    request::Request,
    response::Response,
    settings::Settings,
    tls,
    transport::Transport,
};
use crate::{
    certificate::Certificate,
    endpoint::Endpoint,
    error::{Error, repr::Repr},
    origin::Origin,
};

/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 5;

/// All hosts that were asked.
pub(crate) struct HttpClient {
    pub(crate) total_timeout: Duration,
    pub(crate) queue_timeout: Duration,
    shared: Arc<Shared>,
    common: Transport,
    max_concurrent_requests: NonZeroUsize,
    configs: Vec<HostConfig>,
    hosts: Hosts,
}

impl HttpClient {
    pub(crate) fn new(settings: Settings) -> Result<Self, TrustError> {
        let connect = |own: &[Certificate]| {
            let tls = tls::configuration(settings.certificates.iter().chain(own))?;
            let proxy = settings.proxy.clone();
            Ok::<_, TrustError>(Transport::new(tls, proxy, settings.connect_timeout))
        };
        let common = connect(&[])?;
        let mut configs = Vec::new();
        for options in settings.hosts {
            let transport = if options.certificates.is_empty() {
                common.clone()
            } else {
                connect(&options.certificates)?
            };
            configs.push(HostConfig { options, transport });
        }
        Ok(Self {
            total_timeout: settings.total_timeout,
            queue_timeout: settings.queue_timeout,
            shared: Arc::new(Shared::new(
                settings.user_agent,
                settings.observer,
                settings.request_timeout,
            )),
            common,
            max_concurrent_requests: settings.max_concurrent_requests,
            configs,
            hosts: Hosts::new(),
        })
    }

    /// Which options are meant for a registry, by its name in references.
    pub(crate) fn config_id(&self, registry: &str) -> HostConfigId {
        self.configs
            .iter()
            .position(|config| config.options.pattern.matches(registry))
    }

    /// Whether options ask for plain HTTP.
    pub(crate) fn is_plain_http(&self, id: HostConfigId) -> bool {
        self.config(id)
            .is_some_and(|config| config.options.plain_http)
    }

    /// The endpoint of a registry, if options name one.
    pub(crate) fn endpoint(&self, id: HostConfigId) -> Option<&Endpoint> {
        self.config(id)?.options.endpoint.as_ref()
    }

    /// The host of a registry itself, or its endpoint: under the options that are meant for the registry.
    pub(crate) fn registry(&self, origin: &Origin, id: HostConfigId) -> Arc<HostClient> {
        let id = id.or_else(|| self.config_id(&origin.to_string()));
        let key = (origin.clone(), id);
        self.hosts.registry(key, || self.new_host(origin, id))
    }

    /// A host that another one has named. `asked_by` are the options of the registry: a token server without options of its
    /// own is trusted as its registry is.
    pub(crate) fn named(
        &self,
        by: &Arc<HostClient>,
        origin: &Origin,
        asked_by: HostConfigId,
    ) -> Arc<HostClient> {
        if *origin == by.origin {
            return Arc::clone(by);
        }
        let id = self.config_id(&origin.to_string()).or(asked_by);
        let key = (origin.clone(), id);
        self.hosts.named(by, key, || self.new_host(origin, id))
    }

    /// Asks a host and follows its redirects. `Authorization` stays with the origin that it was meant for.
    pub(crate) async fn send(
        &self,
        host: &Arc<HostClient>,
        mut request: Request,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
        let mut at = Arc::clone(host);
        for _ in 0..=MAX_REDIRECTS {
            let response = at.send(&request, call).await?;
            if let Some(retry_after) = response.backoff {
                return Err(response.error(Repr::RateLimited { retry_after }));
            }
            if !response.is_redirect() {
                return Ok(response);
            }
            let refused = |repr| at.error(repr);
            let next = location(&response, &request).map_err(refused)?;
            let origin = redirect_policy::check(&next, &host.origin).map_err(refused)?;
            if origin != at.origin {
                request.account = None; // nobody's there
                let redirected = request.redirect_authorization.take();
                request.authorization = redirected
                    .filter(|(target, _)| *target == origin)
                    .map(|(_, header)| header);
                at = self.named(host, &origin, call.config);
            }
            request.uri = next;
        }
        Err(at.error(Repr::RedirectRefused {
            to: at.origin.to_string(),
            reason: "too many redirects in a row",
        }))
    }

    fn new_host(&self, origin: &Origin, id: HostConfigId) -> HostClient {
        let config = self.config(id);
        let transport = config.map_or(&self.common, |config| &config.transport);
        let limit = config.and_then(|config| config.options.max_concurrent_requests);
        let limit = limit.unwrap_or(self.max_concurrent_requests);
        let shared = Arc::clone(&self.shared);
        HostClient::new(origin.clone(), transport.clone(), limit.get(), shared)
    }

    fn config(&self, id: HostConfigId) -> Option<&HostConfig> {
        self.configs.get(id?)
    }
}

/// Where a redirect points.
fn location(response: &Response, request: &Request) -> Result<Uri, Repr> {
    let refused = |reason| Repr::RedirectRefused {
        to: "another address".to_owned(),
        reason,
    };
    if request.form.is_some() {
        return Err(refused("what was sent is a secret"));
    }
    response
        .headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| redirect_policy::join(&response.uri, location))
        .ok_or_else(|| refused("its address is missing or malformed"))
}
