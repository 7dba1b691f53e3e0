//! Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
//!
//! What people read is in a `rich_text` block, whose texts are shown as they are: nothing in them is markup or a mention. The
//! field `text` is read where blocks are not: in notifications, and by Mattermost, Rocket.Chat and Discord, which take the same
//! requests.

use serde_json::{Value, json};

use crate::card::Card;

/// The longest header, in characters (<https://docs.slack.dev/reference/block-kit/blocks/header-block>).
const HEADER: usize = 150;

/// The longest text, in characters (<https://docs.slack.dev/reference/block-kit/blocks/section-block>). For `rich_text`, no
/// bound is documented.
const TEXT: usize = 3000;

/// The longest `text`, in characters: Discord takes no more (<https://discord.com/developers/docs/resources/webhook>).
const FALLBACK: usize = 2000;

pub(super) fn of(card: &Card) -> Value {
    let header: String = card.title.chars().take(HEADER).collect();
    let mut rich = vec![section(&paragraph(card))];
    rich.push(json!({
        "type": "rich_text_list",
        "style": "bullet",
        "elements": bullets(card),
    }));
    if let Some(detail) = &card.detail {
        rich.push(json!({ "type": "rich_text_quote", "elements": [text(detail)] }));
    }
    if card.changes.is_empty() {
        rich.remove(0);
    }
    json!({
        "text": fallback(card),
        "blocks": [
            { "type": "header", "text": plain(&header) },
            { "type": "rich_text", "elements": rich },
            { "type": "context", "elements": [plain(&card.place)] },
        ],
    })
}

/// Whether Slack takes it, by the length of all texts.
pub(super) fn fits(card: &Card, _: &Value) -> bool {
    let lines = card.lines();
    let length: usize = lines.iter().map(|line| line.chars().count() + 1).sum();
    length <= TEXT
}

/// The changes of images, each on a line of its own.
fn paragraph(card: &Card) -> Vec<Value> {
    let mut elements = Vec::new();
    for change in &card.changes {
        if !elements.is_empty() {
            elements.push(text("\n"));
        }
        let bold = json!({ "type": "text", "text": change.text, "style": { "bold": true } });
        elements.push(bold);
        if let Some(source) = &change.source {
            elements.push(text(" "));
            elements.push(json!({ "type": "link", "url": source, "text": "source" }));
        }
    }
    elements
}

fn bullets(card: &Card) -> Vec<Value> {
    let more = (card.more > 0).then(|| format!("and {} more", card.more));
    let lines = card.workloads.iter().chain(&more);
    lines.map(|line| section(&[text(line)])).collect()
}

fn section(elements: &[Value]) -> Value {
    json!({ "type": "rich_text_section", "elements": elements })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// The card as a text in Slack's own markup, or in Markdown.
fn fallback(card: &Card) -> String {
    let mut fallback = String::new();
    let mut left = FALLBACK;
    for line in [card.title.clone()].into_iter().chain(card.lines()) {
        for letter in line.chars().chain(['\n']) {
            let escaped = escape(letter);
            let length = escaped.chars().count();
            if length > left {
                return fallback;
            }
            left -= length;
            fallback.push_str(&escaped);
        }
    }
    fallback.trim_end().to_owned()
}

/// What is shown as this letter, and begins no markup and no mention: `& < >` as Slack wants them
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>), and a space of no width after what begins a mention,
/// a link, a quotation or a style in Mattermost or Discord.
fn escape(letter: char) -> String {
    match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '@' | '#' | '[' | ']' | '!' | '*' | '_' | '~' | '`' | '|' => format!("{letter}\u{200b}"),
        letter => letter.to_string(),
    }
}
