//! Quay's notification *Push to Repository* (<https://docs.quay.io/guides/notifications.html>).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

#[derive(Deserialize)]
struct Payload {
    docker_url: Option<String>,
    updated_tags: Option<UpdatedTags>,
}

/// Old versions map tags to image IDs.
#[derive(Deserialize)]
#[serde(untagged)]
enum UpdatedTags {
    List(Vec<String>),
    Map(Map<String, Value>),
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let payload: Payload = request.json()?;
    let url = payload.docker_url.ok_or(Malformed::Missing("docker_url"))?;
    let (host, repository) = url.split_once('/').ok_or(Malformed::Host)?;
    let tags = match payload.updated_tags {
        Some(UpdatedTags::List(tags)) => tags,
        Some(UpdatedTags::Map(tags)) => tags.into_iter().map(|(tag, _)| tag).collect(),
        // Other events have no tags
        None => {
            return collector.ignore(Ignored::Event);
        }
    };
    let mut tags = tags.iter();
    tags.try_for_each(|tag| collector.push(Some(host), repository, Some(tag)))
}
