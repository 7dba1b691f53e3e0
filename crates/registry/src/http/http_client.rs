//! Maps origins to the clients of their hosts, with the options that apply, and follows redirects.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use http::{HeaderValue, Uri, header::LOCATION};
use kube_autorollout_tls::TrustError;

use super::{
    body::BodyBudget,
    call::{Call, HostConfigId},
    host_client::{HostClient, Shared},
    hosts::Hosts,
    proxy::Proxy,
    redirect_policy,
    request::Request,
    response::Response,
    transport::Transport,
};
use crate::{
    certificate::Certificate,
    endpoint::Endpoint,
    error::{Error, repr::Repr},
    host_options::HostOptions,
    observer::Observer,
    origin::Origin,
};

/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 5;

/// The settings of all hosts, and the options of some.
pub(crate) struct Settings {
    pub(crate) hosts: Vec<HostOptions>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) queue_timeout: Duration,
    pub(crate) proxy: Proxy,
    pub(crate) max_concurrent_requests: NonZeroUsize,
}

/// The options of some hosts, with the connections that they need.
struct HostConfig {
    options: HostOptions,
    transport: Transport,
}

/// The HTTP client of all hosts.
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
            let tls = Certificate::client_config(settings.certificates.iter().chain(own))?;
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
            shared: Arc::new(Shared {
                user_agent: settings.user_agent,
                observer: settings.observer,
                request_timeout: settings.request_timeout,
                bodies: BodyBudget::new(),
            }),
            common,
            max_concurrent_requests: settings.max_concurrent_requests,
            configs,
            hosts: Hosts::new(),
        })
    }

    /// The options that apply to a registry, by its name in references.
    pub(crate) fn config_id(&self, registry: &str) -> HostConfigId {
        self.configs
            .iter()
            .position(|config| config.options.pattern.matches(registry))
    }

    pub(crate) fn is_plain_http(&self, id: HostConfigId) -> bool {
        self.config(id)
            .is_some_and(|config| config.options.plain_http)
    }

    /// The endpoint that replaces a registry, if there is one.
    pub(crate) fn endpoint(&self, id: HostConfigId) -> Option<&Endpoint> {
        self.config(id)?.options.endpoint.as_ref()
    }

    /// The client of a registry or its endpoint, with the options of the registry.
    pub(crate) fn registry(&self, origin: &Origin, id: HostConfigId) -> Arc<HostClient> {
        let id = id.or_else(|| self.config_id(&origin.to_string()));
        let key = (origin.clone(), id);
        self.hosts.registry(key, || self.new_host(origin, id))
    }

    /// The client of a host that another one names. `registry` are the options of the registry, which apply to token servers
    /// without options of their own.
    pub(crate) fn named(
        &self,
        by: &Arc<HostClient>,
        origin: &Origin,
        registry: HostConfigId,
    ) -> Arc<HostClient> {
        if *origin == by.origin {
            return Arc::clone(by);
        }
        let id = self.config_id(&origin.to_string()).or(registry);
        let key = (origin.clone(), id);
        self.hosts.named(by, key, || self.new_host(origin, id))
    }

    /// Sends a request and follows redirects. `Authorization` is not sent to another origin.
    pub(crate) async fn send(
        &self,
        host: &Arc<HostClient>,
        mut request: Request,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
        let mut current = Arc::clone(host);
        for _ in 0..=MAX_REDIRECTS {
            let response = current.send(&request, call).await?;
            if let Some(retry_after) = response.backoff {
                return Err(response.error(Repr::RateLimited { retry_after }));
            }
            if !response.is_redirect() {
                return Ok(response);
            }
            let refused = |repr| current.error(repr);
            let next = location(&response, &request).map_err(refused)?;
            let origin = redirect_policy::check(&next, &host.origin).map_err(refused)?;
            if origin != current.origin {
                request.account = None; // which is none there
                let redirected = request.redirect_authorization.take();
                request.authorization = redirected
                    .filter(|(target, _)| *target == origin)
                    .map(|(_, header)| header);
                current = self.named(host, &origin, call.config);
            }
            request.uri = next;
        }
        Err(current.error(Repr::RedirectRefused {
            to: current.origin.to_string(),
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

/// The target of a redirect.
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
