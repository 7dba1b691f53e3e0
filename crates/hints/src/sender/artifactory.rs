//! Webhooks of Artifactory in the domain `docker`
//! (<https://jfrog.com/help/r/jfrog-platform-administration-documentation/domain-docker>).

use serde::Deserialize;

use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

#[derive(Deserialize)]
struct Payload {
    domain: Option<String>,
    event_type: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    repo_key: String,
    path: Option<String>,
    image_name: Option<String>,
    tag: Option<String>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let payload: Payload = request.json()?;
    let event = payload.event_type.ok_or(Malformed::Missing("event_type"))?;
    if payload.domain.as_deref() != Some("docker") {
        return collector.ignore(Ignored::NotAnImage);
    }
    if !matches!(&*event, "pushed" | "promoted") {
        return collector.ignore(Ignored::Event);
    }
    let data = payload.data.ok_or(Malformed::Missing("data"))?;
    let image = data.image().ok_or(Malformed::Missing("data.image_name"))?;
    collector.push_keyed(&data.repo_key, image, data.tag.as_deref())
}

impl Data {
    /// The image, or else the path without the tag and the manifest's file name.
    fn image(&self) -> Option<&str> {
        let named = self.image_name.as_deref().filter(|name| !name.is_empty());
        named.or_else(|| {
            let (path, _) = self.path.as_deref()?.rsplit_once('/')?;
            Some(path.rsplit_once('/')?.0)
        })
    }
}
