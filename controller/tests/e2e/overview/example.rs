//! An overview as the documentation shows it: workloads in all sorts of states.

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    labels::ImageLabels,
    state::{Reason, State},
};
use kube_autorollout_overview::{
    Container, Filter, Image, Overview, Page, Row, View as _, needs_person,
};

/// Namespace, name, image, state, reason, and since how many seconds.
type Sort = (
    &'static str,
    &'static str,
    &'static str,
    State,
    Option<Reason>,
    i64,
);

#[rustfmt::skip]
const SORTS: [Sort; 9] = [
    ("shop", "checkout", "ghcr.io/shop/checkout:main", State::NotConverging, Some(Reason::CrashLoopBackOff), 340),
    ("payments", "ledger", "ghcr.io/payments/ledger:main", State::InvalidConfiguration, None, 7_000),
    ("web", "gateway", "registry.example.org/web/gateway:stable", State::Unknown, Some(Reason::Unauthorized), 190_000),
    ("shop", "cart", "ghcr.io/shop/cart:main", State::Outdated, Some(Reason::MinInterval), 45),
    ("payments", "invoices", "ghcr.io/payments/invoices:main", State::Held, None, 90_000),
    ("web", "landing", "ghcr.io/web/landing:main", State::RollingOut, Some(Reason::InFlight), 12),
    ("batch", "reports", "ghcr.io/batch/reports:main", State::Skipped, Some(Reason::NoPods), 500_000),
    ("shop", "catalogue", "ghcr.io/shop/catalogue:main", State::UpToDate, Some(Reason::Current), 86_400),
    ("web", "assets", "ghcr.io/web/assets:main", State::UpToDate, Some(Reason::IndexChangedOnly), 3_600),
];

/// The page of these workloads.
pub(super) fn page() -> String {
    let now: Timestamp = "2026-11-30T10:00:00Z".parse().expect("an instant");
    let [old, new] = [
        labels("1.4.2", "a81c40be77d2"),
        labels("1.4.3", "3f9c2d81a0b4"),
    ];
    let filter = Filter {
        page: Some(1),
        ..Filter::default()
    };
    let mut overview = Overview {
        time: now,
        leader: "kube-autorollout-6c9f7d5b8-x2x7k".into(),
        ..Overview::default()
    };
    let rows = SORTS.map(|sort| row(sort, [&old, &new], now));
    for row in &rows {
        overview.count(&row.namespace, row.state, row.needs_person, &filter);
    }
    overview.paged(&filter);
    let mut page = Vec::new();
    let written = Page::default().write(&overview, rows, &mut page);
    written.expect("a vector takes all");
    String::from_utf8(page).expect("text")
}

fn labels(version: &str, revision: &str) -> ImageLabels {
    ImageLabels {
        version: Some(version.into()),
        revision: Some(revision.into()),
        source: Some("https://github.com/team/web".into()),
        created: None,
    }
}

fn row(
    (namespace, name, image, state, reason, seconds): Sort,
    [old, new]: [&ImageLabels; 2],
    now: Timestamp,
) -> Row<'_> {
    let digest = |letters: &str| format!("sha256:{}", letters.repeat(8));
    let image_of = |letters, labels| Image::of(digest(letters)).labelled(labels);
    let (before, named) = (image_of("4be1c02f", old), image_of("9d07ae53", new));
    let runs = match state {
        State::Skipped => None,
        State::Outdated | State::Held | State::NotConverging => Some(before),
        _ => Some(named.clone()),
    };
    let on_pods = |image| Image {
        pods: Some(2),
        ..image
    };
    let container = Container {
        running: runs.map(on_pods).into_iter().collect(),
        tag: (state != State::Unknown).then_some(named),
        ..Container::new("app", image)
    };
    let since = now - SignedDuration::from_secs(seconds);
    let waits = state == State::Outdated;
    Row {
        reason,
        container: Some("app".into()),
        needs_person: needs_person(state, reason, Some(since), now),
        since: Some(since),
        last_check: Some(now),
        next_check: Some(now + SignedDuration::from_secs(seconds % 45 + 1)),
        last_rollout: Some(since),
        next_attempt: waits.then(|| now + SignedDuration::from_mins(14)),
        containers: vec![container],
        ..Row::new(namespace, "Deployment", name, state)
    }
}
