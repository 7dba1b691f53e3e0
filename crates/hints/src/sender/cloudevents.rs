//! `CloudEvents` over HTTP, in the modes *binary*, *structured* and *batched*
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{harbor::EventData, manifest_event::ManifestEvent};
use crate::{collector::Collector, hint::Ignored, malformed::Malformed, request::Request};

const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
const TYPE: HeaderName = HeaderName::from_static("ce-type");

#[derive(Deserialize)]
struct Event {
    specversion: String,
    #[serde(rename = "type")]
    kind: String,
    data: Option<Value>,
    data_base64: Option<String>,
}

/// The data of zot (<https://zotregistry.dev/latest/articles/events/>).
#[derive(Deserialize)]
struct Zot {
    name: String,
    reference: Option<String>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    match request.content_type().as_deref() {
        Some("application/cloudevents+json") => {
            let event: Event = request.json()?;
            event.collect(collector)
        }
        Some("application/cloudevents-batch+json") => {
            let events: Vec<Event> = request.json_list()?;
            let mut events = events.iter();
            events.try_for_each(|event| event.collect(collector))
        }
        _ => {
            let version = request.header(&SPEC_VERSION);
            let (Some("1.0"), Some(kind)) = (version, request.header(&TYPE)) else {
                return Err(Malformed::NotACloudEvent);
            };
            match Kind::of(kind) {
                Some(Kind::Zot) => request.json::<Zot>()?.collect(collector),
                Some(Kind::Harbor) => request.json::<EventData>()?.collect(collector),
                Some(Kind::Acr) => request.json::<ManifestEvent>()?.collect(collector),
                None => collector.ignore(Ignored::Event),
            }
        }
    }
}

/// The sender of an event's data.
#[derive(Clone, Copy)]
enum Kind {
    Zot,
    Harbor,
    Acr,
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        match text {
            "harbor.artifact.pushed" => Some(Self::Harbor),
            // Azure Event Grid
            "Microsoft.ContainerRegistry.ImagePushed" => Some(Self::Acr),
            // The prefix, by default `zotregistry`, is configurable
            _ if text.ends_with(".image.updated") => Some(Self::Zot),
            _ => None,
        }
    }
}

impl Event {
    fn collect(&self, collector: &mut Collector<'_>) -> Result<(), Malformed> {
        if self.specversion != "1.0" {
            return Err(Malformed::NotACloudEvent);
        }
        match Kind::of(&self.kind) {
            Some(Kind::Zot) => self.data::<Zot>()?.collect(collector),
            Some(Kind::Harbor) => self.data::<EventData>()?.collect(collector),
            Some(Kind::Acr) => self.data::<ManifestEvent>()?.collect(collector),
            None => collector.ignore(Ignored::Event),
        }
    }

    fn data<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        let read = if let Some(data) = &self.data {
            T::deserialize(data)
        } else {
            let data = self
                .data_base64
                .as_ref()
                .ok_or(Malformed::Missing("data"))?;
            let data = STANDARD.decode(data);
            let data = data.map_err(|_| Malformed::Base64)?;
            serde_json::from_slice(&data)
        };
        read.map_err(|error| Malformed::from_json(&error))
    }
}

impl Zot {
    fn collect(&self, collector: &mut Collector<'_>) -> Result<(), Malformed> {
        collector.push(None, &self.name, self.reference.as_deref())
    }
}
