//! What all views have in common.

pub(crate) mod schema;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    labels::{ImageLabels, is_visible},
    state::{Reason, State},
};
use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:ab00000000000000000000000000000000000000000000000000000000000000";

/// A row in which everything is set that may be.
pub(crate) fn full<'a>(text: &'a str, labels: &'a ImageLabels) -> Row<'a> {
    let now = Timestamp::UNIX_EPOCH;
    let mut container = Container::new(text, text);
    container.runs(None);
    container.runs(Some(DIGEST.into()));
    container.runs(Some(DIGEST.into()));
    container.tag = Some(Image::of(DIGEST).labelled(labels));
    container.running[1] = container.running[1].clone().labelled(labels);
    Row {
        reason: Some(Reason::CrashLoopBackOff),
        container: Some(text.into()),
        needs_person: true,
        since: Some(now),
        last_check: Some(now),
        next_check: Some(now + SignedDuration::from_secs(40)),
        last_rollout: Some(now - SignedDuration::from_hours(3)),
        next_attempt: Some(now + SignedDuration::from_mins(10)),
        pinned: Some(false),
        containers: vec![container.clone(), container],
        ..Row::new(text, text, text, State::NotConverging)
    }
}

/// The overview as page, wide text and JSON.
fn views(rows: &[Row<'_>]) -> [String; 3] {
    let overview = Overview {
        leader: "leader-0".into(),
        shown: Shown {
            pages: 1,
            ..Shown::default()
        },
        ..Overview::default()
    };
    let mut outs = [Vec::new(), Vec::new(), Vec::new()];
    let [page, table, json] = &mut outs;
    let rows = || rows.iter().cloned();
    Page::default()
        .write(&overview, rows(), page)
        .expect("it takes all");
    Json::default()
        .write(&overview, rows(), json)
        .expect("it takes all");
    let overview = Overview {
        workloads: rows().collect(),
        ..overview
    };
    let wide = Table {
        detail: Detail::Wide,
        coloured: false,
    };
    wide.write(&overview, table).expect("it takes all");
    outs.map(|out| String::from_utf8(out).expect("text"))
}

#[test]
fn every_state_and_every_reason_is_shown_by_every_view() {
    let states = State::ALL
        .iter()
        .map(|&state| Row::new("shop", "Deployment", "web", state));
    let reasons = Reason::ALL.iter().map(|&reason| Row {
        reason: Some(reason),
        ..Row::new("shop", "Deployment", "web", State::Unknown)
    });
    let rows: Vec<_> = states.chain(reasons).collect();
    let words = State::ALL.iter().map(|state| state.as_str());
    let words = words.chain(Reason::ALL.iter().map(|reason| reason.as_str()));
    let words: Vec<_> = words.collect();
    for view in views(&rows) {
        let shown: BTreeSet<&str> = view
            .split(|letter: char| !letter.is_alphanumeric())
            .collect();
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !shown.contains(**word))
            .collect();
        assert!(missing.is_empty(), "{missing:?}\n{view}");
    }
}

#[test]
fn labels_that_try_to_be_markup_or_escapes_are_harmless() {
    let long = "v".repeat(1000);
    let texts = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{9b}31m\u{202e}gpj.exe",
        "a\nb\r\nc\td",
        &*long,
    ];
    for text in texts {
        let labels = ImageLabels {
            version: Some(text.into()),
            revision: Some(text.into()),
            source: Some(text.into()),
            created: Some(text.into()),
        };
        let row = full(text, &labels);
        let [page, table, json] = views(std::slice::from_ref(&row));
        let none = ImageLabels::default();
        let [harmless, plain, _] = views(&[full("text", &none)]);
        assert_eq!(tags(&page), tags(&harmless), "{text:?}");
        assert!(
            !page.contains("<img") && !page.contains("' onmouse"),
            "{page}"
        );
        assert_eq!(table.lines().count(), plain.lines().count(), "{text:?}");
        for view in [&page, &table, &json] {
            assert!(
                view.chars()
                    .all(|letter| letter == '\n' || is_visible(letter)),
                "{view}"
            );
        }
        assert!(
            table.lines().all(|line| line.chars().count() < 900),
            "{table}"
        );
        let read: Overview<'_> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read.workloads, [row]);
    }
}

/// The names of all elements, in order, but for links, which a label may be.
fn tags(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    let tags = tags.filter_map(|tag| tag.split([' ', '>']).next());
    tags.filter(|tag| !matches!(*tag, "a" | "/a" | "span" | "/span"))
        .collect()
}

#[test]
fn only_an_https_source_is_a_link() {
    for (source, is_link) in [
        ("https://github.com/team/web", true),
        ("javascript:alert(1)", false),
        ("http://github.com/team/web", false),
    ] {
        let labels = ImageLabels {
            version: Some("1.4.3".into()),
            source: Some(source.into()),
            ..ImageLabels::default()
        };
        let [page, ..] = views(&[full("web", &labels)]);
        assert_eq!(page.contains(source), is_link, "{page}");
    }
}

#[test]
fn the_page_is_written_without_scripts_and_loads_nothing() {
    let labels = ImageLabels::default();
    let [page, ..] = views(&[full("web", &labels)]);
    for unwanted in [
        "<script", "src=", "@import", "url(", "<link", "<form", " on", "<iframe",
    ] {
        let found = page.split('>').any(|part| {
            part.rsplit_once('<')
                .is_some_and(|(_, tag)| format!("<{tag}").contains(unwanted))
        });
        assert!(!found, "{unwanted}");
    }
    for wanted in [
        "lang=\"en\"",
        "charset=\"utf-8\"",
        "width=device-width",
        "scope=\"row\"",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn pages_of_many_rows_link_to_each_other_and_keep_the_filter() {
    let filter = Filter::parse("namespace=shop&page=2").expect("a filter");
    let mut overview = Overview::default();
    for _ in 0..250 {
        overview.count("shop", State::UpToDate, false, &filter);
    }
    let rows = overview.paged(&filter);
    assert_eq!(rows, 100..200);
    let mut page = Vec::new();
    Page::default()
        .write(&overview, None, &mut page)
        .expect("it takes all");
    let page = String::from_utf8(page).expect("text");
    for link in [
        "?namespace=shop&amp;page=1",
        "?namespace=shop&amp;page=3",
        "?namespace=shop&amp;state=UpToDate",
        "status.json?namespace=shop&amp;page=2",
    ] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
    }
}

proptest! {
    #[test]
    fn no_text_adds_an_element_to_the_page_or_a_line_to_the_table(text in any::<String>()) {
        let labels = ImageLabels { version: Some(text.as_str().into()), ..ImageLabels::default() };
        let none = ImageLabels { version: Some("1".into()), ..ImageLabels::default() };
        let [page, table, _] = views(&[full(&text, &labels)]);
        let [harmless, plain, _] = views(&[full("text", &none)]);
        prop_assert_eq!(tags(&page), tags(&harmless));
        prop_assert_eq!(table.lines().count(), plain.lines().count());
    }
}
