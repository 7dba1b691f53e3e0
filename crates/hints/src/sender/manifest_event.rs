//! The event of the CNCF registry, which is also sent by Azure.

use serde::Deserialize;

use crate::{collector::Collector, hint::Ignored, malformed::Malformed};

#[derive(Deserialize)]
pub(super) struct ManifestEvent {
    action: Option<String>,
    target: Option<Target>,
    request: Option<Origin>,
}

#[derive(Deserialize)]
struct Target {
    repository: Option<String>,
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Origin {
    host: Option<String>,
}

impl ManifestEvent {
    pub(super) fn collect(&self, collector: &mut Collector<'_>) -> Result<(), Malformed> {
        match self.action.as_deref() {
            Some("push") => {}
            Some("ping") => return collector.ignore(Ignored::Ping),
            Some("chart_push" | "chart_delete") => return collector.ignore(Ignored::NotAnImage),
            Some(_) => return collector.ignore(Ignored::Event),
            None => return Err(Malformed::Missing("action")),
        }
        let target = self.target.as_ref().ok_or(Malformed::Missing("target"))?;
        let repository = target.repository.as_deref();
        let repository = repository.ok_or(Malformed::Missing("target.repository"))?;
        let host = self.request.as_ref();
        let host = host.and_then(|origin| origin.host.as_deref());
        collector.push(host, repository, target.tag.as_deref())
    }
}
