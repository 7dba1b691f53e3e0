//! GitHub's `registry_package` and `package` events
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package>).

use http::HeaderName;
use serde::Deserialize;

use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

const EVENT: HeaderName = HeaderName::from_static("x-github-event");

/// The registry of GitHub; GitHub Enterprise Server has others.
const GHCR: &str = "ghcr.io";

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    registry_package: Option<Package>,
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(rename = "package_type")]
    kind: Option<String>,
    ecosystem: Option<String>,
    owner: Owner,
    #[serde(rename = "package_version")]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

#[derive(Deserialize)]
struct Version {
    container_metadata: Option<ContainerMetadata>,
}

#[derive(Deserialize)]
struct ContainerMetadata {
    tag: Option<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: Option<String>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    match request.header(&EVENT) {
        Some("registry_package" | "package") => {}
        Some("ping") => return collector.ignore(Ignored::Ping),
        Some(_) => return collector.ignore(Ignored::Event),
        None => return Err(Malformed::Missing("header X-GitHub-Event")),
    }
    let payload: Payload = request.json_or_form()?;
    let package = payload.registry_package.or(payload.package);
    let package = package.ok_or(Malformed::Missing("registry_package"))?;
    if !matches!(payload.action.as_deref(), Some("published" | "updated")) {
        return collector.ignore(Ignored::Event);
    }
    if !package.is_image() {
        return collector.ignore(Ignored::NotAnImage);
    }
    let metadata = package
        .version
        .and_then(|version| version.container_metadata);
    let tag = metadata.and_then(|metadata| metadata.tag?.name);
    let repository = format!("{}/{}", package.owner.login, package.name);
    collector.push(Some(GHCR), &repository, tag.as_deref())
}

impl Package {
    /// Payloads of images have been seen with `npm` in one of the two fields; case varies.
    fn is_image(&self) -> bool {
        let kinds = [&self.kind, &self.ecosystem];
        kinds.into_iter().flatten().any(|kind| {
            kind.eq_ignore_ascii_case("container") || kind.eq_ignore_ascii_case("docker")
        })
    }
}
