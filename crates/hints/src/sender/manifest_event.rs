//! The event of the CNCF registry, which Azure sends as well.

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
            Some("ping") => {
                collector.ignore(Ignored::Ping);
                return Ok(());
            }
            Some("chart_push" | "chart_delete") => {
                collector.ignore(Ignored::NotAnImage);
                return Ok(());
            }
            Some(_) => {
                collector.ignore(Ignored::Event);
                return Ok(());
            }
            None => return Err(Malformed::Missing("action")),
        }
        let target = self.target.as_ref().ok_or(Malformed::Missing("target"))?;
        let repository = target.repository.as_deref();
        let repository = repository.ok_or(Malformed::Missing("target.repository"))?;
        let host = self.request.as_ref().and_then(|it| it.host.as_deref());
        collector.push(host, repository, target.tag.as_deref())
    }
}
