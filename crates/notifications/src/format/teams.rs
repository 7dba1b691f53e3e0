//! Workflows of Microsoft Teams: a message with an Adaptive Card
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
//!
//! All is in `RichTextBlock`s, whose texts are shown as they are: in a `TextBlock`, Markdown would be markup
//! (<https://learn.microsoft.com/adaptive-cards/create/textfeatures>).

use serde_json::{Value, json};

use crate::card::Card;

/// The largest message, in bytes. Teams takes 28 KB
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>), and counts
/// those of bots in UTF-16, which has two bytes for each of these.
pub(super) const MOST: usize = 14 * 1024;

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
    let more = (card.more > 0).then(|| format!("and {} more", card.more));
    let lines = card.workloads.iter().chain(&more).chain(&card.detail);
    body.extend(lines.map(|line| block(&[run(line)])));
    let place = json!({ "type": "TextRun", "text": literal(&card.place), "isSubtle": true });
    body.push(block(&[place]));
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

/// Whether Teams takes it.
pub(super) fn fits(_: &Card, value: &Value) -> bool {
    value.to_string().len() <= MOST
}

fn block(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": literal(text) })
}

/// The text without what a card would replace: `{{DATE(…)}}`, and expressions of its templates.
fn literal(text: &str) -> String {
    text.replace('{', "\u{200b}{")
}
