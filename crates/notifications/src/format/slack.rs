//! Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
//!
//! The content is in a `rich_text` block, whose texts are shown literally, without markup or mentions. The field `text` is used
//! where blocks are not supported: in notifications, and by Mattermost, Rocket.Chat and Discord, which accept the same requests.

use serde_json::{Value, json};

use crate::card::Card;

/// The longest header, in characters (<https://docs.slack.dev/reference/block-kit/blocks/header-block>).
const MAX_HEADER: usize = 150;

/// The longest text, in characters (<https://docs.slack.dev/reference/block-kit/blocks/section-block>). The limit
/// of `rich_text` is undocumented.
const MAX_TEXT: usize = 3000;

/// The longest `text`, in characters, which is the limit of Discord (<https://discord.com/developers/docs/resources/webhook>).
const MAX_FALLBACK: usize = 2000;

pub(super) fn of(card: &Card) -> Value {
    let header: String = card.title.chars().take(MAX_HEADER).collect();
    let mut rich = Vec::new();
    if !card.changes.is_empty() {
        rich.push(section(&paragraph(card)));
    }
    let lines = card.workloads.iter();
    let bullets: Vec<_> = lines.map(|line| section(&[text(line)])).collect();
    rich.push(json!({
        "type": "rich_text_list",
        "style": "bullet",
        "elements": bullets,
    }));
    if let Some(detail) = &card.detail {
        rich.push(json!({ "type": "rich_text_quote", "elements": [text(detail)] }));
    }
    json!({
        "text": fallback(card),
        "blocks": [
            { "type": "header", "text": plain(&header) },
            { "type": "rich_text", "elements": rich },
            { "type": "context", "elements": [plain(&card.footer)] },
        ],
    })
}

/// Whether Slack accepts it, by the length of all texts.
pub(super) fn fits(card: &Card, _: &Value) -> bool {
    let lines = card.lines();
    let length: usize = lines.iter().map(|line| line.chars().count() + 1).sum();
    length <= MAX_TEXT
}

/// The changes of images, each on its own line.
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

fn section(elements: &[Value]) -> Value {
    json!({ "type": "rich_text_section", "elements": elements })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// The card as text that is valid in Slack's markup and in Markdown.
fn fallback(card: &Card) -> String {
    let mut fallback = String::new();
    let mut remaining = MAX_FALLBACK;
    for line in [card.title.clone()].into_iter().chain(card.lines()) {
        for letter in without_links(&line).chars().chain(['\n']) {
            let escaped = escape(letter);
            let length = escaped.chars().count();
            if length > remaining {
                return fallback;
            }
            remaining -= length;
            fallback.push_str(&escaped);
        }
    }
    fallback.trim_end().to_owned()
}

/// Breaks what Mattermost, Rocket.Chat and Discord make a link without any markup, with zero-width spaces.
fn without_links(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for letter in line.chars() {
        let is_link = match letter {
            '/' => text.ends_with(':'),
            '.' => text.ends_with(['w', 'W']),
            _ => false,
        };
        if is_link {
            text.push('\u{200b}');
        }
        text.push(letter);
    }
    text
}

/// Escapes a character that could begin markup or a mention: `& < >` as Slack requires
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>), others with a zero-width space, because they
/// begin a mention, a link, a quotation or a style in Mattermost or Discord.
fn escape(letter: char) -> String {
    match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '@' | '#' | '[' | ']' | '!' | '*' | '_' | '~' | '`' | '|' => format!("{letter}\u{200b}"),
        letter => letter.to_string(),
    }
}
