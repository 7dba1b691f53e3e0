//! The bodies of requests, in the form of each service.

mod cloudevents;
mod json;
mod slack;
mod teams;

use serde_json::Value;

use crate::{card::Card, message::Message, sink::SinkType};

/// The body of a request, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// For the header of this name.
    pub content_type: &'static str,
    /// JSON in UTF-8.
    pub bytes: Vec<u8>,
}

impl Message {
    /// The message as a service of this type takes it. `cluster` may be empty.
    pub fn body(&self, kind: SinkType, cluster: &str) -> Body {
        match kind {
            SinkType::Webhook => Body::json(&json::of(self, cluster)),
            SinkType::CloudEvents => Body {
                content_type: cloudevents::CONTENT_TYPE,
                bytes: cloudevents::of(self, cluster).to_string().into_bytes(),
            },
            SinkType::Slack => fitting(self, cluster, slack::of, slack::fits),
            SinkType::Teams => fitting(self, cluster, teams::of, teams::fits),
        }
    }
}

impl Body {
    fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            bytes: value.to_string().into_bytes(),
        }
    }
}

/// How many workloads are listed, in the order in which that is tried.
const LISTED: [usize; 6] = [50, 25, 12, 6, 3, 1];

/// The body with as many workloads as the service takes.
fn fitting(
    message: &Message,
    cluster: &str,
    render: fn(&Card) -> Value,
    fits: fn(&Card, &Value) -> bool,
) -> Body {
    let mut value = Value::Null;
    for listed in LISTED {
        let card = Card::of(message, cluster, listed);
        value = render(&card);
        if fits(&card, &value) {
            break;
        }
    }
    Body::json(&value)
}
