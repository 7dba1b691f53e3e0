//! `docs/notifications.md` shows messages as they are sent, and as their services show them.

use std::{fs, path::Path};

use kube_autorollout_notifications::{Event, Message, SinkType};
use serde_json::Value;

use crate::{
    given::notice,
    rendering::{grouped, rendered},
};

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/notifications.md");
    fs::read_to_string(page).expect("the page")
}

/// The message of the page: two workloads for people, one for programs.
fn message(kind: SinkType) -> Message {
    let web = notice(Event::RolledOut, "web");
    match kind {
        SinkType::Webhook | SinkType::CloudEvents => Message::new(&web.into()),
        SinkType::Slack | SinkType::Teams => grouped(vec![web, notice(Event::RolledOut, "worker")]),
    }
}

/// What stands between two lines.
fn between<'p>(page: &'p str, first: &str, last: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("\n{first}\n")).expect(first);
    rest.split_once(&format!("\n{last}")).expect(last).0
}

#[test]
fn the_messages_of_the_page_are_those_that_are_sent() {
    for kind in SinkType::ALL {
        let mut expected = rendered(&message(kind), kind);
        if kind == SinkType::CloudEvents {
            expected["data"] = Value::from(format!(
                "… as above, version {}",
                expected["data"]["version"]
            ));
        }
        let page = page();
        let shown = between(&page, &format!("```json message {}", kind.as_str()), "```");
        let shown: Value = serde_json::from_str(shown).unwrap_or_default();
        assert_eq!(shown, expected, "write into the page:\n{expected:#}");
    }
}

/// The text of an element, with Markdown for what is not plain.
fn inline(element: &Value) -> String {
    let text = element["text"].as_str().unwrap_or_default();
    let url = element["url"].as_str();
    let url = url.or_else(|| element["selectAction"]["url"].as_str());
    let bold = element["style"]["bold"] == true || element["weight"] == "bolder";
    match url {
        Some(url) => format!("[{text}]({url})"),
        None if bold => format!("**{text}**"),
        None if element["isSubtle"] == true => format!("<sub>{text}</sub>"),
        None => text.to_owned(),
    }
}

fn inlines(elements: &Value) -> String {
    let elements = elements.as_array().into_iter().flatten();
    elements.map(inline).collect()
}

/// Blocks of Slack, one line each.
fn slack(message: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for block in message["blocks"].as_array().expect("blocks") {
        let elements = block["elements"].as_array().into_iter().flatten();
        match block["type"].as_str() {
            Some("header") => {
                let text = block["text"]["text"].as_str().expect("a text");
                lines.push(format!("**{text}**"));
            }
            Some("context") => {
                let text = inlines(&block["elements"]);
                lines.push(format!("<sub>{text}</sub>"));
            }
            _ => {
                for element in elements {
                    if element["type"] == "rich_text_list" {
                        let items = element["elements"].as_array().expect("items").iter();
                        lines.extend(items.map(|item| format!("• {}", inlines(&item["elements"]))));
                    } else {
                        lines.push(inlines(&element["elements"]));
                    }
                }
            }
        }
    }
    lines
}

/// Blocks of an Adaptive Card, one line each.
fn teams(message: &Value) -> Vec<String> {
    let body = &message["attachments"][0]["content"]["body"];
    let blocks = body.as_array().expect("blocks").iter();
    blocks.map(|block| inlines(&block["inlines"])).collect()
}

#[test]
fn the_page_shows_messages_as_their_services_do() {
    for (kind, lines) in [
        (SinkType::Slack, slack as fn(&Value) -> Vec<String>),
        (SinkType::Teams, teams),
    ] {
        let lines = lines(&rendered(&message(kind), kind));
        let expected: Vec<_> = lines.iter().map(|line| format!("> {line}")).collect();
        let expected = expected.join("\\\n");
        let page = page();
        let shown = between(
            &page,
            &format!("<!-- {} -->", kind.as_str()),
            "<!-- end -->",
        );
        assert_eq!(shown, expected, "write into the page:\n{expected}");
    }
}
