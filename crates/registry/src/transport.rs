//! From an origin to the host behind it, under the options that are meant for it.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use jiff::Timestamp;

use crate::{
    Endpoint, HostPattern, Observer,
    body::BodyBudget,
    connection::Connection,
    host::Host,
    hosts::Hosts,
    options::{HostOptions, Options, OptionsError},
    proxy::Proxies,
    target::Origin,
    tls,
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
    pub(crate) clock: fn() -> Timestamp,
    common: Connection,
    common_max_concurrent_requests: usize,
    rules: Vec<Rule>,
    hosts: Hosts,
}

/// The options of some hosts, ready for use.
struct Rule {
    pattern: HostPattern,
    endpoint: Option<Endpoint>,
    plain_http: bool,
    connection: Connection,
    max_concurrent_requests: usize,
}

impl Transport {
    pub(crate) fn new(options: Options) -> Result<Self, OptionsError> {
        let user_agent = HeaderValue::try_from(&options.user_agent)
            .map_err(|_| OptionsError::UserAgent(options.user_agent.clone()))?;
        let common = numbered("ca_certificates", &options.ca_certificates);
        let proxies = Proxies::new(&options.proxy)?;
        let connect = |files: &[(String, &[u8])]| {
            let tls = tls::configuration(files)?;
            Ok::<_, OptionsError>(Connection::new(
                tls,
                proxies.clone(),
                options.connect_timeout,
            ))
        };
        let common_connection = connect(&common)?;
        let mut rules = Vec::new();
        for host in &options.hosts {
            let connection = if host.ca_certificates.is_empty() {
                common_connection.clone()
            } else {
                let own = numbered(&format!("hosts {}", host.pattern), &host.ca_certificates);
                connect(&[common.clone(), own].concat())?
            };
            rules.push(Rule::new(host, connection)?);
        }
        Ok(Self {
            user_agent,
            observer: options.observer,
            request_timeout: options.request_timeout,
            total_timeout: options.total_timeout,
            queue_timeout: options.queue_timeout,
            bodies: BodyBudget::new(),
            clock: options.clock,
            common: common_connection,
            common_max_concurrent_requests: options.max_concurrent_requests.get(),
            rules,
            hosts: Hosts::new(),
        })
    }

    /// Which options are meant for a registry, by its name in references.
    pub(crate) fn rule(&self, registry: &str) -> RuleIndex {
        self.rules
            .iter()
            .position(|rule| rule.pattern.matches(registry))
    }

    /// Whether options ask for plain HTTP.
    pub(crate) fn is_plain_http(&self, rule: RuleIndex) -> bool {
        self.get(rule).is_some_and(|rule| rule.plain_http)
    }

    /// What answers in the place of a registry, if options name it.
    pub(crate) fn endpoint(&self, rule: RuleIndex) -> Option<&Endpoint> {
        self.get(rule)?.endpoint.as_ref()
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
        let (connection, limit) = self.get(rule).map_or(
            (&self.common, self.common_max_concurrent_requests),
            |rule| (&rule.connection, rule.max_concurrent_requests),
        );
        Host::new(origin.clone(), connection.clone(), limit)
    }

    fn get(&self, rule: RuleIndex) -> Option<&Rule> {
        self.rules.get(rule?)
    }
}

impl Rule {
    fn new(options: &HostOptions, connection: Connection) -> Result<Self, OptionsError> {
        if options.max_concurrent_requests == 0 {
            return Err(OptionsError::NoRequests {
                pattern: options.pattern.clone(),
            });
        }
        Ok(Self {
            pattern: options.pattern.clone(),
            endpoint: options.endpoint.clone(),
            plain_http: options.plain_http,
            connection,
            max_concurrent_requests: options.max_concurrent_requests,
        })
    }
}

/// PEM files with names for messages.
fn numbered<'a>(list: &str, files: &'a [Vec<u8>]) -> Vec<(String, &'a [u8])> {
    files
        .iter()
        .enumerate()
        .map(|(index, pem)| (format!("{list}[{index}]"), pem.as_slice()))
        .collect()
}
