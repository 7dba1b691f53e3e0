//! Webhooks of Azure Container Registry
//! (<https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference>).

use super::manifest_event::ManifestEvent;
use crate::{collector::Collector, malformed::Malformed, request::Request};

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let event: ManifestEvent = request.json()?;
    event.collect(collector)
}
