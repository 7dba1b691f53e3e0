//! Webhooks of Gitea and Forgejo for their container registries (<https://docs.gitea.com/usage/webhooks>).

use http::{HeaderName, Uri};
use serde::Deserialize;

use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

/// Forgejo sends its own header in addition to Gitea's.
const EVENTS: [HeaderName; 2] = [
    HeaderName::from_static("x-gitea-event"),
    HeaderName::from_static("x-forgejo-event"),
];

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    owner: Owner,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    version: Option<String>,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let event = EVENTS.iter().find_map(|name| request.header(name));
    if event.ok_or(Malformed::Missing("header X-Gitea-Event"))? != "package" {
        return collector.ignore(Ignored::Event);
    }
    let payload: Payload = request.json_or_form()?;
    let package = payload.package.ok_or(Malformed::Missing("package"))?;
    // Also sent if a tag is overwritten
    if payload.action.as_deref() != Some("created") {
        return collector.ignore(Ignored::Event);
    }
    if package.kind.as_deref() != Some("container") {
        return collector.ignore(Ignored::NotAnImage);
    }
    let url: Option<Uri> = package.html_url.and_then(|url| url.parse().ok());
    let host = url.as_ref().and_then(host_of);
    let repository = format!("{}/{}", package.owner.login, package.name);
    collector.push(host.as_deref(), &repository, package.version.as_deref())
}

/// The host and port, without user information.
fn host_of(url: &Uri) -> Option<String> {
    let host = url.host()?;
    let port = url.port().map(|port| format!(":{port}"));
    Some(format!("{host}{}", port.unwrap_or_default()))
}
