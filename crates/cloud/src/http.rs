//! Requests to the endpoints of clouds, and to metadata servers.

use std::{net::IpAddr, time::Duration};

use form_urlencoded::Serializer;
use kube_autorollout_registry::{ErrorKind, TokenClient, TokenRequest, TokenResponse};
use tokio::time::sleep;
use url::{Host, Url};

use crate::failure::Failure;

/// For one answer of a cloud's endpoint.
pub(crate) const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// For a connection to an endpoint, TLS included.
pub(crate) const ENDPOINT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one answer of a metadata server, which is on the node.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// For a connection to a metadata server.
pub(crate) const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// GKE's metadata server does not answer in the first seconds of a pod.
const METADATA_TRIES: u32 = 3;

/// Between two tries.
const METADATA_PAUSE: Duration = Duration::from_millis(300);

const UNREACHABLE: &str = "check that this address can be reached from the controller's pod (network policy, firewall, proxy)";

const UNTRUSTED: &str = "trust the certificate authority of this endpoint, or of the proxy before it, in tls.caCertificatePaths";

const BUSY: &str =
    "wait: the cloud's endpoint fails or has too much to do, and is asked again by itself";

const MALFORMED: &str = "check the address: what answers there is not the cloud's endpoint, or a proxy changes its answers";

const REDIRECTS: &str =
    "correct the address: a redirect is not followed, as what is sent is a secret";

/// The clients that requests go through.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// To endpoints of clouds, through the proxy if there is one.
    pub(crate) endpoints: TokenClient,
    /// To those of AWS, which may have certificates of their own (`AWS_CA_BUNDLE`).
    pub(crate) aws: TokenClient,
    /// To metadata servers, never through a proxy.
    pub(crate) metadata: TokenClient,
}

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// A POST of a form.
pub(crate) fn post_form(url: &str, fields: &[(&str, &str)]) -> TokenRequest {
    let request = TokenRequest::post(url, form(fields), ENDPOINT_TIMEOUT);
    request.header("content-type", FORM)
}

/// The fields of a form as they are sent.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

/// Sends a request to an endpoint of a cloud.
pub(crate) async fn ask(
    client: &TokenClient,
    step: &str,
    request: TokenRequest,
) -> Result<TokenResponse, Failure> {
    let response = client.send(request).await.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::Tls => UNTRUSTED,
            _ => UNREACHABLE,
        };
        Failure::away(step, chain(&error), advice)
    })?;
    match response.status() {
        300..=399 => Err(Failure::refused(
            step,
            format!("status {}, a redirect", response.status()),
            REDIRECTS,
        )),
        _ => Ok(response),
    }
}

impl Http {
    /// Asks a metadata server, again where it may only be starting.
    pub(crate) async fn ask_metadata(
        &self,
        step: &str,
        request: impl Fn() -> TokenRequest,
    ) -> Result<TokenResponse, Failure> {
        let mut last = ask(&self.metadata, step, request()).await;
        for _ in 1..METADATA_TRIES {
            let is_starting = match &last {
                Ok(response) => response.status() >= 500,
                Err(failure) => failure.passes,
            };
            if !is_starting {
                break;
            }
            sleep(METADATA_PAUSE).await;
            last = ask(&self.metadata, step, request()).await;
        }
        last
    }
}

/// What a status means that has no code: somebody's refusal, or a server in trouble.
pub(crate) fn failed(
    step: &str,
    response: &TokenResponse,
    code: Option<String>,
    advice: &'static str,
) -> Failure {
    let status = response.status();
    let what = match code {
        Some(code) => format!("{code} (status {status})"),
        None => format!("status {status}"),
    };
    if status >= 500 || status == 429 || status == 408 {
        return Failure::away(step, what, BUSY);
    }
    Failure::refused(step, what, advice)
}

/// An answer that is not what was asked for.
pub(crate) fn malformed(step: &str) -> Failure {
    Failure::refused(step, "the answer makes no sense", MALFORMED)
}

/// The host of a URL, for messages: `host` or `host:port`.
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

/// Whether an address is this machine's own or link-local, where metadata servers are: these may speak HTTP without TLS.
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

/// The addresses of EC2's and EKS' own services over IPv6, `fd00:ec2::/32`.
fn is_ec2(segments: [u16; 8]) -> bool {
    matches!(segments, [0xfd00, 0x0ec2, ..])
}

/// An error with its causes.
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
