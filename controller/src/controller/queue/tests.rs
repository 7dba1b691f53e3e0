use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt as _, channel::mpsc};
use tokio::time::{self, Instant};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn workload(name: &str) -> Identity {
    Identity::deployment("shop", name)
}

/// Reconciles that take a second each, by a paused clock.
#[derive(Clone)]
struct Given(Arc<Mutex<Seen>>);

struct Seen {
    begun: Instant,
    /// Which began, and in which second.
    reconciled: Vec<(String, u64)>,
    /// By name, what each is to answer.
    answers: HashMap<&'static str, Again>,
    running: Vec<Identity>,
    most: usize,
}

impl Given {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Seen {
            begun: Instant::now(),
            reconciled: Vec::new(),
            answers: HashMap::new(),
            running: Vec::new(),
            most: 0,
        })))
    }

    fn answers(self, name: &'static str, again: Again) -> Self {
        self.0.lock().expect("a lock").answers.insert(name, again);
        self
    }

    /// A queue with this much room, and where to ask it for something.
    fn queue(&self, room: usize) -> (mpsc::UnboundedSender<Identity>, impl Future<Output = ()>) {
        let (sender, news) = mpsc::unbounded();
        let given = self.clone();
        let work = work(news, room, move |identity| {
            let begins = &*identity.name != "unknown";
            begins.then(|| given.clone().reconcile(identity.clone()))
        });
        (sender, work)
    }

    async fn reconcile(self, identity: Identity) -> Again {
        {
            let mut seen = self.0.lock().expect("a lock");
            assert!(!seen.running.contains(&identity), "{identity} twice");
            let second = seen.begun.elapsed().as_secs();
            seen.reconciled.push((identity.name.to_string(), second));
            seen.running.push(identity.clone());
            seen.most = seen.most.max(seen.running.len());
        }
        time::sleep(SECOND).await;
        let mut seen = self.0.lock().expect("a lock");
        seen.running.retain(|running| *running != identity);
        seen.answers.get(&*identity.name).copied().flatten()
    }

    fn reconciled(&self) -> Vec<(String, u64)> {
        self.0.lock().expect("a lock").reconciled.clone()
    }

    fn of(&self, name: &str) -> Vec<u64> {
        let all = self.reconciled().into_iter();
        let its = all.filter(|(reconciled, _)| reconciled == name);
        its.map(|(_, second)| second).collect()
    }
}

/// Tells the queue that there is news of each of these.
fn ask(sender: &mpsc::UnboundedSender<Identity>, names: &[impl AsRef<str>]) {
    for name in names {
        let identity = workload(name.as_ref());
        sender.unbounded_send(identity).expect("taken");
    }
}

/// Lets time pass while the queue works.
async fn pass(work: &mut (impl Future<Output = ()> + Unpin), time: Duration) {
    let ended = time::timeout(time, work).await.is_ok();
    assert!(!ended, "it has ended by itself");
}

#[tokio::test(start_paused = true)]
async fn what_is_news_while_it_is_reconciled_is_reconciled_once_more_afterwards() {
    let given = Given::new();
    let (sender, work) = given.queue(8);
    let mut work = pin!(work);
    ask(&sender, &["web"; 3]);
    pass(&mut work, SECOND / 2).await;
    assert_eq!(
        given.of("web"),
        [0],
        "asked for three times before it began"
    );
    ask(&sender, &["web"; 3]);
    pass(&mut work, 10 * SECOND).await;
    assert_eq!(given.of("web"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_comes_again_when_it_asked_to_or_earlier_when_there_is_news() {
    let given = Given::new()
        .answers("often", Some(2 * SECOND))
        .answers("seldom", Some(100 * SECOND))
        .answers("never", None);
    let (sender, work) = given.queue(8);
    let mut work = pin!(work);
    ask(&sender, &["often", "seldom", "never"]);
    pass(&mut work, 50 * SECOND + SECOND / 2).await;
    assert_eq!(given.of("often")[..4], [0, 3, 6, 9]);
    ask(&sender, &["seldom"]);
    pass(&mut work, 150 * SECOND).await;
    assert_eq!(
        given.of("seldom"),
        [0, 50, 151],
        "and not at its first time"
    );
    assert_eq!(given.of("never"), [0]);
}

#[tokio::test(start_paused = true)]
async fn there_is_no_more_at_once_than_there_is_room_for_and_who_comes_first_is_first() {
    let given = Given::new();
    let (sender, work) = given.queue(3);
    let mut work = pin!(work);
    let names: Vec<_> = (0..10).map(|number| format!("web-{number}")).collect();
    ask(&sender, &names);
    pass(&mut work, 10 * SECOND).await;
    let expected = names.iter().cloned().zip([0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(given.reconciled(), expected.collect::<Vec<_>>());
    assert_eq!(given.0.lock().expect("a lock").most, 3);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_news_and_not_before_what_it_has_begun() {
    let given = Given::new().answers("web", Some(Duration::ZERO));
    let (sender, work) = given.queue(1);
    let mut work = pin!(work);
    ask(&sender, &["web", "late"]);
    pass(&mut work, SECOND / 2).await;
    drop(sender);
    assert_eq!(work.as_mut().now_or_never(), None, "one is under way");
    work.await;
    assert_eq!(given.reconciled(), [("web".to_owned(), 0)]);
    assert!(given.0.lock().expect("a lock").running.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_for_centuries_and_what_is_gone_do_no_harm() {
    let given = Given::new().answers("web", Some(Duration::MAX));
    let (sender, work) = given.queue(1);
    let mut work = pin!(work);
    ask(&sender, &["unknown", "web", "unknown"]);
    pass(&mut work, 10 * SECOND).await;
    ask(&sender, &["web"]);
    pass(&mut work, 10 * SECOND).await;
    assert_eq!(given.of("web"), [0, 10]);
    assert_eq!(given.reconciled().len(), 2);
}
