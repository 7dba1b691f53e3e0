//! Words of other people in messages: they are shown as they are, and never too long.

use std::sync::Arc;

use kube_autorollout_core::labels::ImageLabels;
use kube_autorollout_notifications::{Event, Message, Notice, SinkType};
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    given::notice,
    rendering::{faults, grouped, rendered},
};

/// What labels of images have been seen or can be thought to try.
const TRIES: [&str; 13] = [
    "<!channel> <!here> <@U012AB3CD>",
    "@everyone @channel @here @all",
    "<https://evil.example|1.4.3>",
    "[1.4.3](https://evil.example)",
    "![1.4.3](https://evil.example/pixel.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</TextRun> **bold** _italic_ `code` ~gone~ ||spoiler||",
    "{{DATE(2026-01-01T00:00:00Z, SHORT)}} ${expression} @{utcNow()}",
    "\"},\"injected\":{\"a\":\"",
    "1.4.3\u{1b}[31m\r\n\u{0}\u{202e}gpj.exe\u{200f}",
    "&lt;!channel&gt;",
    "# heading\n- list\n> quote",
    "http://evil.example/1.4.3 www.evil.example WWW.evil.example",
];

/// The event with these words in all that others write.
fn said(words: &str) -> Notice {
    let mut notice = notice(Event::NotConverging, "web");
    let container = &mut notice.containers[0];
    for version in [&mut container.from, &mut container.to] {
        let version = version.as_mut().expect("it");
        version.labels = Some(Arc::new(ImageLabels {
            version: Some(words.into()),
            revision: Some(words.into()),
            source: Some(words.into()),
            created: Some(words.into()),
        }));
    }
    notice.detail = Some(words.to_owned());
    notice
}

/// All texts of a value, with their places.
fn texts(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((place.to_owned(), text.clone())),
        Value::Array(values) => {
            for value in values {
                texts(value, place, found);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                texts(value, &format!("{place}.{key}"), found);
            }
        }
        _ => {}
    }
}

/// Checks everything that must be so, whatever the words are.
fn check(words: &str) {
    let message = Message::new(&Arc::new(said(words)));
    for kind in SinkType::ALL {
        let body = message.body(kind, "prod");
        assert!(kind != SinkType::Teams || body.bytes.len() <= 14 * 1024);
        let value = rendered(&message, kind);
        assert_eq!(faults(&value, kind), Vec::<String>::new(), "{words:?}");
        let mut found = Vec::new();
        texts(&value, "", &mut found);
        for (place, text) in found {
            let is_plain = text
                .chars()
                .all(|letter| letter == '\n' || !letter.is_control());
            assert!(is_plain && !text.contains('\u{202e}'), "{place}: {text:?}");
            assert!(text.chars().count() <= 3000, "{place}: {text:?}");
            if place == ".text" {
                check_fallback(&text);
            }
            if kind == SinkType::Teams {
                assert!(
                    !text.contains("{{") && !text.contains("${"),
                    "{place}: {text:?}"
                );
            }
        }
    }
}

/// The one text that is markup: nothing in it begins a mention, a link (a URL is one, too) or an entity that is none of ours.
fn check_fallback(text: &str) {
    assert!(!text.contains(['<', '>']), "{text:?}");
    let entities = text.split('&').skip(1);
    for entity in entities {
        let ours = ["amp;", "lt;", "gt;"]
            .iter()
            .any(|ours| entity.starts_with(ours));
        assert!(ours, "{text:?}");
    }
    let lower = text.to_lowercase();
    assert!(
        !lower.contains("://") && !lower.contains("www."),
        "{text:?}"
    );
    for (place, letter) in text.char_indices() {
        if matches!(letter, '@' | '[' | ']' | '!' | '#') {
            assert!(text[place + 1..].starts_with('\u{200b}'), "{text:?}");
        }
    }
}

#[test]
fn words_that_try_to_be_markup_are_shown_as_they_are() {
    for words in TRIES {
        check(words);
        let value = rendered(&Message::new(&Arc::new(said(words))), SinkType::Slack);
        let change = &value["blocks"][1]["elements"][0]["elements"][0];
        let visible: String = words
            .chars()
            .filter(|letter| !letter.is_control())
            .collect();
        let start: String = visible.chars().take(8).collect();
        let shown = change["text"].as_str().expect("a text");
        assert!(shown.starts_with(start.trim_end()), "{shown:?}");
    }
}

#[test]
fn a_source_is_a_link_only_if_it_is_https() {
    for (source, is_link) in [
        ("https://github.com/team/web", true),
        ("http://github.com/team/web", false),
        ("javascript:alert(1)", false),
        ("https://evil.example|text", false),
        ("https://evil.example> <!channel", false),
    ] {
        let mut notice = notice(Event::RolledOut, "web");
        let to = notice.containers[0].to.as_mut().expect("it");
        to.labels = Some(Arc::new(ImageLabels {
            source: Some(source.into()),
            ..ImageLabels::default()
        }));
        let message = Message::new(&Arc::new(notice));
        for kind in [SinkType::Slack, SinkType::Teams] {
            let value = rendered(&message, kind).to_string();
            assert_eq!(value.contains(source), is_link, "{source} {kind:?}");
        }
    }
}

#[test]
fn messages_fit_whatever_they_are_about() {
    let long = "n".repeat(253);
    let notices = (0..600).map(|number| {
        let mut notice = said(&"ü".repeat(1000));
        notice.workload.namespace = "s".repeat(63);
        notice.workload.name = format!("{long}{number}");
        notice.workload.uid = number.to_string();
        notice.containers[0].image = format!("registry.example.org/{}:{number}", "i".repeat(255));
        notice
    });
    let message = grouped(notices.collect());
    assert_eq!(message.count(), 600);
    for kind in SinkType::ALL {
        let value = rendered(&message, kind);
        assert_eq!(faults(&value, kind), Vec::<String>::new(), "{kind:?}");
    }
    let size = |kind| message.body(kind, "prod").bytes.len();
    assert!(
        size(SinkType::Teams) <= 14 * 1024,
        "{}",
        size(SinkType::Teams)
    );
    let slack = rendered(&message, SinkType::Slack);
    let mut found = Vec::new();
    texts(&slack["blocks"], "", &mut found);
    let length: usize = found.iter().map(|(_, text)| text.chars().count()).sum();
    assert!(length <= 13_000, "{length}");
}

proptest! {
    #[test]
    fn any_words_are_harmless(words in "\\PC*|.*|([<>@&{}$\\[\\]()!*_`|#]|channel|https://a\\.b){0,60}") {
        check(&words);
    }
}
