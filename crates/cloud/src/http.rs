//! Requests to cloud endpoints and metadata servers.

use std::{net::IpAddr, time::Duration};

use form_urlencoded::Serializer;
use kube_autorollout_registry::{ErrorKind, ExternalClient, ExternalRequest, ExternalResponse};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use url::{Host, Url};

use crate::failure::Failure;

/// For one response of a cloud endpoint.
pub(crate) const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// For a connection to an endpoint, TLS included.
pub(crate) const ENDPOINT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one response of a metadata server, which is on the node.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// For a connection to a metadata server.
pub(crate) const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// GKE's metadata server does not respond in the first seconds of a pod.
const METADATA_ATTEMPTS: u32 = 3;

/// Between two attempts.
const METADATA_DELAY: Duration = Duration::from_millis(300);

const UNREACHABLE: &str = "check that this address can be reached from the controller's pod (network policy, firewall, proxy)";

const UNTRUSTED: &str = "trust the certificate authority of this endpoint, or of the proxy before it, in tls.caCertificatePaths";

const BUSY: &str =
    "wait: the cloud's endpoint fails or has too much to do, and is asked again by itself";

const MALFORMED: &str = "check the address: what responds there is not the cloud's endpoint, or a proxy changes its responses";

const REDIRECTS: &str =
    "correct the address: a redirect is not followed, as what is sent is a secret";

/// The HTTP clients.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// For cloud endpoints, through the proxy if there is one.
    pub(crate) endpoints: ExternalClient,
    /// For AWS endpoints, with the certificates of `AWS_CA_BUNDLE`.
    pub(crate) aws: ExternalClient,
    /// For metadata servers, never through a proxy.
    pub(crate) metadata: ExternalClient,
}

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A POST of a form.
pub(crate) fn post_form(url: &str, fields: &[(&str, &str)]) -> ExternalRequest {
    let request = ExternalRequest::post(url, form(fields), ENDPOINT_TIMEOUT);
    request.header("content-type", FORM)
}

/// Encodes the fields of a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

/// Sends a request to a cloud endpoint. Redirects are errors.
pub(crate) async fn send(
    client: &ExternalClient,
    step: &str,
    request: ExternalRequest,
) -> Result<ExternalResponse, Failure> {
    let response = client.send(request).await.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::Tls => UNTRUSTED,
            _ => UNREACHABLE,
        };
        Failure::transient(step, chain(&error), advice)
    })?;
    match response.status() {
        300..=399 => Err(Failure::permanent(
            step,
            format!("status {}, a redirect", response.status()),
            REDIRECTS,
        )),
        _ => Ok(response),
    }
}

impl Http {
    /// Sends a request to a metadata server, and retries while it may be starting.
    pub(crate) async fn send_to_metadata_server(
        &self,
        step: &str,
        request: impl Fn() -> ExternalRequest,
    ) -> Result<ExternalResponse, Failure> {
        let mut last = send(&self.metadata, step, request()).await;
        for _ in 1..METADATA_ATTEMPTS {
            let is_starting = match &last {
                Ok(response) => response.status() >= 500,
                Err(failure) => failure.is_transient,
            };
            if !is_starting {
                break;
            }
            sleep(METADATA_DELAY).await;
            last = send(&self.metadata, step, request()).await;
        }
        last
    }
}

/// The failure for an error response, transient if the status is that of a failing or busy server.
pub(crate) fn error_response(
    step: &str,
    response: &ExternalResponse,
    code: Option<String>,
    advice: &'static str,
) -> Failure {
    let status = response.status();
    let what = match code {
        Some(code) => format!("{code} (status {status})"),
        None => format!("status {status}"),
    };
    if status >= 500 || status == 429 || status == 408 {
        return Failure::transient(step, what, BUSY);
    }
    Failure::permanent(step, what, advice)
}

/// Parses the body of a response as JSON.
pub(crate) fn parse<T: DeserializeOwned>(response: &ExternalResponse) -> Option<T> {
    serde_json::from_slice(response.body()).ok()
}

/// The failure for a response that cannot be parsed.
pub(crate) fn malformed(step: &str) -> Failure {
    Failure::permanent(step, "the response makes no sense", MALFORMED)
}

/// The `host` or `host:port` of a URL, empty if it is invalid.
pub(crate) fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        })
    });
    host.unwrap_or_default()
}

/// Whether a URL is that of a loopback or link-local address, as metadata servers have: these may be without TLS.
pub(crate) fn is_local(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        Some(Host::Domain(name)) => return name == "localhost",
        None => return false,
    };
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unicast_link_local() || is_ec2(address.segments())
        }
    }
}

/// Whether an IPv6 address is that of a service of EC2 or EKS, `fd00:ec2::/32`.
fn is_ec2(segments: [u16; 8]) -> bool {
    matches!(segments, [0xfd00, 0x0ec2, ..])
}

/// Formats an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_servers_are_reported_from_others() {
        let cases = [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://127.0.0.1:8080/", true),
            ("http://localhost:8080/", true),
            ("http://[::1]/", true),
            ("http://10.0.0.1/", false),
            ("http://metadata.evil.example/", false),
            ("http://localhost.evil.example/", false),
            ("http://169.254.170.23.evil.example/", false),
            ("http://[fd00:ec3::23]/", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_local(&url.parse().expect(url)), expected, "{url}");
        }
    }
}
