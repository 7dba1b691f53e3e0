//! Webhooks of Harbor (<https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/>).

use serde::Deserialize;

use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    event_data: Option<EventData>,
}

/// Also the data of Harbor's `CloudEvents`.
#[derive(Deserialize)]
pub(super) struct EventData {
    resources: Option<Vec<Resource>>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Resource {
    tag: Option<String>,
    resource_url: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    repo_full_name: Option<String>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let payload: Payload = request.json()?;
    // Harbor 1 sends the second
    if !matches!(&*payload.kind, "PUSH_ARTIFACT" | "pushImage") {
        return collector.ignore(Ignored::Event);
    }
    let data = payload.event_data.ok_or(Malformed::Missing("event_data"))?;
    data.collect(collector)
}

impl EventData {
    pub(super) fn collect(&self, collector: &mut Collector<'_>) -> Result<(), Malformed> {
        let repository = self.repository.as_ref();
        let repository = repository.and_then(|repository| repository.repo_full_name.as_deref());
        let repository = repository.ok_or(Malformed::Missing("repository.repo_full_name"))?;
        for resource in self.resources.iter().flatten() {
            let url = resource.resource_url.as_deref().unwrap_or_default();
            let host = url.split('/').next();
            collector.push(host, repository, resource.tag.as_deref())?;
        }
        Ok(())
    }
}
