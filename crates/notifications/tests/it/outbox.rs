//! Which messages are sent, and when.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use kube_autorollout_notifications::{
    Event, Group, Message, Next, Notice, Outbox, PushResult, SinkType,
};

use crate::given::{digest, notice, refused, settings, sink};

fn outbox(group: Group) -> Outbox {
    let mut settings = settings(SinkType::Webhook);
    settings.group = Some(group);
    settings.events = Event::ALL.to_vec();
    Outbox::new(sink(settings))
}

fn second(second: u64) -> Duration {
    Duration::from_secs(second)
}

/// All that is complete by then.
fn sent(outbox: &mut Outbox, now: Instant) -> Vec<Message> {
    let next = std::iter::from_fn(|| match outbox.next(now) {
        Next::Send(message) => Some(message),
        Next::Wait(_) | Next::Idle => None,
    });
    next.collect()
}

fn take(outbox: &mut Outbox, notice: Notice, now: Instant) -> PushResult {
    outbox.push(&Arc::new(notice), now)
}

#[test]
fn the_same_event_of_one_image_within_15_seconds_is_one_message() {
    let (mut outbox, begun) = (outbox(Group::Image), Instant::now());
    for (name, seconds) in [("a", 0), ("b", 10), ("c", 20)] {
        take(
            &mut outbox,
            notice(Event::RolledOut, name),
            begun + second(seconds),
        );
    }
    take(&mut outbox, notice(Event::Failed, "d"), begun + second(20));
    let mut other = notice(Event::RolledOut, "e");
    other.containers[0].image = "ghcr.io/team/other:main".to_owned();
    take(&mut outbox, other, begun + second(20));
    assert_eq!(sent(&mut outbox, begun + second(34)), []);
    assert_eq!(outbox.next(begun), Next::Wait(begun + second(35)));
    let counts: Vec<_> = sent(&mut outbox, begun + second(35))
        .iter()
        .map(|message| (message.event, message.count()))
        .collect();
    let expected = [
        (Event::RolledOut, 3),
        (Event::Failed, 1),
        (Event::RolledOut, 1),
    ];
    assert_eq!(counts, expected);
    assert_eq!(outbox.next(begun + second(35)), Next::Idle);
    take(
        &mut outbox,
        notice(Event::RolledOut, "f"),
        begun + second(36),
    );
    assert_eq!(sent(&mut outbox, begun + second(51)).len(), 1, "too late");
}

#[test]
fn a_growing_group_is_sent_after_a_minute() {
    let (mut outbox, begun) = (outbox(Group::Image), Instant::now());
    for seconds in 0..60 {
        let notice = notice(Event::RolledOut, &seconds.to_string());
        take(&mut outbox, notice, begun + second(seconds));
        assert_eq!(sent(&mut outbox, begun + second(seconds)), []);
    }
    let sent = sent(&mut outbox, begun + second(60));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].count(), 60);
}

#[test]
fn all_images_can_be_one_message_and_each_event_its_own() {
    let begun = Instant::now();
    let take_all = |group| {
        let mut outbox = outbox(group);
        for (image, name) in [("a.io/a:1", "a"), ("a.io/b:1", "b"), ("a.io/b:1", "c")] {
            let mut notice = notice(Event::RolledOut, name);
            notice.containers[0].image = image.to_owned();
            take(&mut outbox, notice, begun);
        }
        outbox
    };
    let mut none = take_all(Group::None);
    assert_eq!(sent(&mut none, begun).len(), 3, "at once");
    let mut all = take_all(Group::All);
    assert_eq!(sent(&mut all, begun), []);
    let sent = sent(&mut all, begun + second(15));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].count(), 3);
}

#[test]
fn credentials_that_different_registries_refused_are_not_grouped_as_one_image() {
    let begun = Instant::now();
    for (group, messages) in [(Group::Image, 2), (Group::All, 1)] {
        let mut outbox = outbox(group);
        take(&mut outbox, refused("a", 1), begun);
        take(&mut outbox, refused("b", 2), begun);
        let mut other = refused("c", 3);
        other.refused.as_mut().expect("it").registry = "docker.io".to_owned();
        take(&mut outbox, other, begun);
        assert_eq!(sent(&mut outbox, begun + second(15)).len(), messages);
    }
}

/// Rollouts end a few at a time, in any order, and the sink is asked meanwhile what it has to send.
#[test]
fn five_hundred_rollouts_of_fifty_images_are_fifty_messages_also_if_they_take_a_minute() {
    for (step, stride) in [(0, 1), (20, 1), (120, 1), (120, 7), (120, 499)] {
        let (mut outbox, begun) = (outbox(Group::Image), Instant::now());
        let mut messages = Vec::new();
        for number in 0..500_u64 {
            let now = begun + Duration::from_millis(number * step);
            let mut notice = notice(Event::RolledOut, &number.to_string());
            let image = number * stride % 500 % 50;
            notice.containers[0].image = format!("ghcr.io/team/app-{image}:main");
            assert_eq!(take(&mut outbox, notice, now), PushResult::Queued);
            messages.extend(sent(&mut outbox, now));
        }
        messages.extend(sent(&mut outbox, begun + second(75)));
        assert_eq!(messages.len(), 50, "{step} {stride}");
        assert!(messages.iter().all(|message| message.count() == 10));
    }
}

/// Rollouts that `maxConcurrent` spreads further than a group waits are several messages, each a minute after its first event.
#[test]
fn rollouts_that_end_over_five_minutes_are_a_message_a_minute() {
    let (mut outbox, begun) = (outbox(Group::Image), Instant::now());
    let mut messages = Vec::new();
    for number in 0..30_u64 {
        let now = begun + second(number * 10);
        messages.extend(sent(&mut outbox, now));
        take(
            &mut outbox,
            notice(Event::RolledOut, &number.to_string()),
            now,
        );
    }
    messages.extend(sent(&mut outbox, begun + second(600)));
    let counts: Vec<_> = messages.iter().map(Message::count).collect();
    assert_eq!(counts, [6; 5]);
}

#[test]
fn a_pending_message_keeps_growing() {
    let (mut outbox, begun) = (outbox(Group::Image), Instant::now());
    take(&mut outbox, notice(Event::RolledOut, "a"), begun);
    take(
        &mut outbox,
        notice(Event::RolledOut, "b"),
        begun + second(300),
    );
    let sent = sent(&mut outbox, begun + second(300));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].count(), 2);
}

#[test]
fn each_event_is_sent_once_for_a_workload_and_digest() {
    let (mut outbox, now) = (outbox(Group::None), Instant::now());
    let to = |letter| {
        let mut notice = notice(Event::RolledOut, "web");
        notice.digests = digest(letter).to_string();
        notice
    };
    assert_eq!(take(&mut outbox, to('b'), now), PushResult::Queued);
    assert_eq!(take(&mut outbox, to('b'), now), PushResult::Ignored);
    let failed = notice(Event::Failed, "web");
    assert_eq!(
        take(&mut outbox, failed, now),
        PushResult::Queued,
        "another event"
    );
    let other = notice(Event::RolledOut, "other");
    assert_eq!(
        take(&mut outbox, other, now),
        PushResult::Queued,
        "another workload"
    );
    assert_eq!(
        take(&mut outbox, to('c'), now),
        PushResult::Queued,
        "another digest"
    );
    assert_eq!(
        take(&mut outbox, to('b'), now),
        PushResult::Queued,
        "and back again"
    );
}

#[test]
fn the_deduplicator_is_bounded() {
    let (mut outbox, now) = (outbox(Group::None), Instant::now());
    for number in 0..10_000 {
        let notice = notice(Event::RolledOut, &number.to_string());
        assert_ne!(take(&mut outbox, notice, now), PushResult::Ignored);
    }
    let last = notice(Event::RolledOut, "9999");
    assert_eq!(take(&mut outbox, last, now), PushResult::Ignored);
    let first = notice(Event::RolledOut, "0");
    assert_eq!(
        take(&mut outbox, first, now),
        PushResult::Displaced,
        "it is forgotten"
    );
}

#[test]
fn a_refused_credential_is_reported_once_however_many_workloads_have_it() {
    let (mut outbox, begun) = (outbox(Group::None), Instant::now());
    assert_eq!(
        take(&mut outbox, refused("a", 1), begun),
        PushResult::Queued
    );
    assert_eq!(
        take(&mut outbox, refused("b", 1), begun),
        PushResult::Ignored
    );
    assert_eq!(
        take(&mut outbox, refused("b", 2), begun),
        PushResult::Queued
    );
    // It is refused again and again, and nobody is bothered.
    let hour = |hour: u64| begun + second(3600 * hour);
    for hours in 1..24 {
        let taken = take(&mut outbox, refused("a", 1), hour(hours));
        assert_eq!(taken, PushResult::Ignored);
    }
    let again = take(&mut outbox, refused("a", 1), hour(27));
    assert_eq!(again, PushResult::Queued, "it was good in between");
}

#[test]
fn more_than_256_messages_displace_the_oldest() {
    let (mut outbox, now) = (outbox(Group::None), Instant::now());
    let mut displaced = 0;
    for number in 0..300 {
        let taken = take(
            &mut outbox,
            notice(Event::RolledOut, &number.to_string()),
            now,
        );
        displaced += usize::from(taken == PushResult::Displaced);
    }
    assert_eq!((displaced, outbox.len()), (44, 256));
    let Next::Send(first) = outbox.next(now) else {
        panic!("a message");
    };
    assert_eq!(first.id(), notice(Event::RolledOut, "44").id());
}

#[test]
fn nothing_is_waited_for_once_it_closes() {
    let (mut outbox, now) = (outbox(Group::Image), Instant::now());
    take(&mut outbox, notice(Event::RolledOut, "web"), now);
    assert_eq!(outbox.next(now), Next::Wait(now + second(15)));
    outbox.close();
    assert_eq!(sent(&mut outbox, now).len(), 1);
    assert!(outbox.is_empty());
}

#[test]
fn an_id_is_the_same_for_the_same_event_and_for_no_other() {
    let first = notice(Event::RolledOut, "web");
    assert_eq!(first.id(), notice(Event::RolledOut, "web").id());
    assert_eq!(first.id().len(), 32);
    let mut reported_later = first.clone();
    reported_later.at = jiff::Timestamp::UNIX_EPOCH;
    reported_later.took = None;
    reported_later.containers[0].from = None;
    assert_eq!(reported_later.id(), first.id(), "by another process");
    let mut rolled_out_again = first.clone();
    rolled_out_again.rollout = Some(jiff::Timestamp::UNIX_EPOCH);
    let mut to_another = first.clone();
    to_another.digests = digest('c').to_string();
    let ids = [
        first.id(),
        rolled_out_again.id(),
        to_another.id(),
        notice(Event::Failed, "web").id(),
        notice(Event::RolledOut, "other").id(),
        refused("web", 1).id(),
    ];
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(
        refused("web", 1).id(),
        refused("web", 2).id(),
        "nothing of a secret"
    );
    let mut months_later = refused("web", 1);
    months_later.at = jiff::Timestamp::UNIX_EPOCH;
    assert_ne!(months_later.id(), refused("web", 1).id());
}
