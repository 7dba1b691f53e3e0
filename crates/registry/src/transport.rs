//! From an origin to the host behind it, under the options that are meant for it.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use http::HeaderValue;
use kube_autorollout_tls::TrustError;

use crate::{
    Certificate, Endpoint, HostOptions, Observer, body::BodyBudget, connection::Connection,
    host::Host, hosts::Hosts, settings::Settings, target::Origin, tls,
};

/// The place of a host's options in the list, if there are any.
pub(crate) type RuleIndex = Option<usize>;

/// All hosts that were asked.
pub(crate) struct Transport {
    pub(crate) user_agent: HeaderValue,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) queue_timeout: Duration,
    pub(crate) bodies: BodyBudget,
    common: Connection,
    max_concurrent_requests: NonZeroUsize,
    rules: Vec<Rule>,
    hosts: Hosts,
}

/// The options of some hosts, ready for use.
struct Rule {
    options: HostOptions,
    connection: Connection,
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Result<Self, TrustError> {
        let connect = |own: &[Certificate]| {
            let tls = tls::configuration(settings.certificates.iter().chain(own))?;
            let proxy = settings.proxy.clone();
            Ok::<_, TrustError>(Connection::new(tls, proxy, settings.connect_timeout))
        };
        let common = connect(&[])?;
        let mut rules = Vec::new();
        for options in settings.hosts {
            let connection = if options.certificates.is_empty() {
                common.clone()
            } else {
                connect(&options.certificates)?
            };
            rules.push(Rule {
                options,
                connection,
            });
        }
        Ok(Self {
            user_agent: settings.user_agent,
            observer: settings.observer,
            request_timeout: settings.request_timeout,
            total_timeout: settings.total_timeout,
            queue_timeout: settings.queue_timeout,
            bodies: BodyBudget::new(),
            common,
            max_concurrent_requests: settings.max_concurrent_requests,
            rules,
            hosts: Hosts::new(),
        })
    }

    /// Which options are meant for a registry, by its name in references.
    pub(crate) fn rule(&self, registry: &str) -> RuleIndex {
        self.rules
            .iter()
            .position(|rule| rule.options.pattern.matches(registry))
    }

    /// Whether options ask for plain HTTP.
    pub(crate) fn is_plain_http(&self, rule: RuleIndex) -> bool {
        self.get(rule).is_some_and(|rule| rule.options.plain_http)
    }

    /// What answers in the place of a registry, if options name it.
    pub(crate) fn endpoint(&self, rule: RuleIndex) -> Option<&Endpoint> {
        self.get(rule)?.options.endpoint.as_ref()
    }

    /// The host of a registry itself, or its endpoint: under the options that are meant for the registry.
    pub(crate) fn registry(&self, origin: &Origin, rule: RuleIndex) -> Arc<Host> {
        let rule = rule.or_else(|| self.rule(&origin.to_string()));
        let key = (origin.clone(), rule);
        self.hosts.registry(key, || self.new_host(origin, rule))
    }

    /// A host that another one has named. `asked_by` are the options of the registry: a token server without options of its
    /// own is trusted as its registry is.
    pub(crate) fn named(&self, by: &Arc<Host>, origin: &Origin, asked_by: RuleIndex) -> Arc<Host> {
        if *origin == by.origin {
            return Arc::clone(by);
        }
        let rule = self.rule(&origin.to_string()).or(asked_by);
        let key = (origin.clone(), rule);
        self.hosts.named(by, key, || self.new_host(origin, rule))
    }

    fn new_host(&self, origin: &Origin, rule: RuleIndex) -> Host {
        let rule = self.get(rule);
        let connection = rule.map_or(&self.common, |rule| &rule.connection);
        let limit = rule.and_then(|rule| rule.options.max_concurrent_requests);
        let limit = limit.unwrap_or(self.max_concurrent_requests);
        Host::new(origin.clone(), connection.clone(), limit.get())
    }

    fn get(&self, rule: RuleIndex) -> Option<&Rule> {
        self.rules.get(rule?)
    }
}
