//! Webhooks of Docker Hub (<https://docs.docker.com/docker-hub/repos/manage/webhooks/>). The `callback_url` is never
//! called, because a forged one could name any host.

use serde::Deserialize;

use crate::{collector::Collector, malformed::Malformed, request::Request};

const DOCKER_HUB: &str = "docker.io";

#[derive(Deserialize)]
struct Payload {
    push_data: PushData,
    repository: Repository,
}

#[derive(Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    repo_name: String,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let payload: Payload = request.json()?;
    let tag = payload.push_data.tag.as_deref();
    collector.push(Some(DOCKER_HUB), &payload.repository.repo_name, tag)
}
