//! Workflows of Microsoft Teams: a message with an Adaptive Card
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
//!
//! All texts are in `RichTextBlock`s, which show them literally; a `TextBlock` would interpret Markdown
//! (<https://learn.microsoft.com/adaptive-cards/create/textfeatures>).

use serde_json::{Value, json};

use crate::card::Card;

/// The largest message, in bytes. The limit of Teams is 28 KB
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>), and
/// messages of bots are measured in UTF-16, with two bytes for each of these.
pub(super) const MAX_SIZE: usize = 14 * 1024;

pub(super) fn of(card: &Card) -> Value {
    let color = if card.is_problem { "attention" } else { "good" };
    let mut body = vec![block(&[json!({
        "type": "TextRun",
        "text": literal(&card.title),
        "size": "large",
        "weight": "bolder",
        "color": color,
    })])];
    for change in &card.changes {
        let mut runs =
            vec![json!({ "type": "TextRun", "text": literal(&change.text), "weight": "bolder" })];
        if let Some(source) = &change.source {
            runs.push(run("  "));
            runs.push(json!({
                "type": "TextRun",
                "text": "source",
                "selectAction": { "type": "Action.OpenUrl", "url": source },
            }));
        }
        body.push(block(&runs));
    }
    let lines = card.workloads.iter().chain(&card.detail);
    body.extend(lines.map(|line| block(&[run(line)])));
    let footer = json!({ "type": "TextRun", "text": literal(&card.footer), "isSubtle": true });
    body.push(block(&[footer]));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "type": "AdaptiveCard",
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

/// Whether Teams accepts it.
pub(super) fn fits(_: &Card, value: &Value) -> bool {
    value.to_string().len() <= MAX_SIZE
}

fn block(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": literal(text) })
}

/// Disables what a card would replace: `{{DATE(…)}}`, and template expressions.
fn literal(text: &str) -> String {
    text.replace('{', "\u{200b}{")
}
