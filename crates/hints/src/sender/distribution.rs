//! Notifications of the CNCF registry (<https://distribution.github.io/distribution/about/notifications/>).

use serde::Deserialize;

use super::manifest_event::ManifestEvent;
use crate::{collector::Collector, malformed::Malformed, request::Request};

#[derive(Deserialize)]
struct Envelope {
    events: Vec<ManifestEvent>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let envelope: Envelope = request.json()?;
    let mut events = envelope.events.iter();
    events.try_for_each(|event| event.collect(collector))
}
