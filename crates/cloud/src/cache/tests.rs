use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{advance, sleep},
};

use super::*;

/// A cloud whose tokens live for so many seconds.
struct FakeCloud {
    life: u64,
    away: AtomicBool,
    refuses: AtomicBool,
    fetched: AtomicUsize,
}

impl RefreshObserver for FakeCloud {
    fn refreshed(&self, _: Cloud, _: bool) {}
}

impl FakeCloud {
    fn new(life: u64) -> Arc<Self> {
        Arc::new(Self {
            life,
            away: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            fetched: AtomicUsize::new(0),
        })
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::Relaxed)
    }

    async fn fetch(self: Arc<Self>) -> Result<Grant, Failure> {
        let number = self.fetched.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(Duration::from_millis(100)).await;
        if self.away.load(Ordering::Relaxed) {
            return Err(Failure::transient("aws: x", "no response", "wait"));
        }
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Failure::permanent("aws: x", "AccessDenied", "grant it"));
        }
        Ok(Grant {
            credential: Credential::password("AWS", format!("password-{number}")),
            expires_in: Duration::from_secs(self.life),
            identity: "aws: role".to_owned(),
        })
    }
}

async fn get(
    entry: &Arc<Entry>,
    cloud: &Arc<FakeCloud>,
    refused: Option<&Credential>,
) -> Result<Credential, ProviderError> {
    let origin: Origin = (Cloud::Aws, Arc::clone(cloud) as _);
    let fetching = Arc::clone(cloud);
    let fetch = move || Arc::clone(&fetching).fetch();
    let issued = Arc::clone(entry).get(origin, refused, fetch).await?;
    Ok(issued.credential().clone())
}

fn password(number: usize) -> Credential {
    Credential::password("AWS", format!("password-{number}"))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_cost_one_fetch_for_each_life_of_a_token() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(60));
    for second in 0..300 {
        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let (entry, cloud) = (Arc::clone(&entry), Arc::clone(&cloud));
            callers.spawn(async move { get(&entry, &cloud, None).await });
        }
        while let Some(issued) = callers.join_next().await {
            issued.expect("no panic").expect("issued");
        }
        let lives = second / 54 + 1; // each is fetched six seconds ahead
        assert!(
            cloud.fetched() <= lives,
            "{} after {second} s",
            cloud.fetched()
        );
        advance(Duration::from_secs(1)).await;
    }
    assert!((5..=6).contains(&cloud.fetched()), "{}", cloud.fetched());
}

#[tokio::test(start_paused = true)]
async fn one_that_lives_long_is_fetched_five_minutes_ahead_while_it_is_used() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(12 * 60 * 60));
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(1)));
    advance(Duration::from_secs(12 * 60 * 60 - 301)).await;
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(1)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cloud.fetched(), 1);
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(1)), "at once");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cloud.fetched(), 2, "meanwhile");
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(2)));
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_within_a_minute() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(60));
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(1)));
    cloud.away.store(true, Ordering::Relaxed);
    let mut failed = 0;
    for _ in 0..600 {
        advance(Duration::from_secs(1)).await;
        failed += usize::from(get(&entry, &cloud, None).await.is_err());
        // What was begun meanwhile ends.
        sleep(Duration::from_millis(200)).await;
    }
    assert!(failed > 500, "{failed}: good until its end");
    assert!((10..=22).contains(&cloud.fetched()), "{}", cloud.fetched());
    cloud.away.store(false, Ordering::Relaxed);
    advance(Duration::from_secs(41)).await;
    assert!(get(&entry, &cloud, None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_cloud_is_tried_again_ever_later() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(60));
    cloud.refuses.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    for _ in 0..7 {
        let error = get(&entry, &cloud, None).await.expect_err("it is refused");
        assert_eq!(error.to_string(), "aws: x: AccessDenied");
        let wait = error.wait().expect("a wait");
        waits.push(wait.as_secs());
        let again = get(&entry, &cloud, None).await.expect_err("at once");
        assert!(again.wait() <= Some(wait));
        advance(wait).await;
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
    assert_eq!(cloud.fetched(), 7);
    cloud.refuses.store(false, Ordering::Relaxed);
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(8)));
}

#[tokio::test(start_paused = true)]
async fn one_that_a_registry_refuses_is_replaced_once_for_all_and_not_again_soon() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(60 * 60));
    let first = get(&entry, &cloud, None).await.expect("issued");
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (entry, cloud, first) = (Arc::clone(&entry), Arc::clone(&cloud), first.clone());
        callers.spawn(async move { get(&entry, &cloud, Some(&first)).await });
    }
    while let Some(issued) = callers.join_next().await {
        assert_eq!(issued.expect("no panic"), Ok(password(2)));
    }
    assert_eq!(
        get(&entry, &cloud, Some(&password(2))).await,
        Ok(password(2))
    );
    advance(Duration::from_secs(5 * 60)).await;
    assert_eq!(
        get(&entry, &cloud, Some(&password(2))).await,
        Ok(password(3))
    );
}

#[tokio::test(start_paused = true)]
async fn a_fetch_continues_if_its_caller_is_dropped() {
    let (entry, cloud) = (Arc::new(Entry::default()), FakeCloud::new(60));
    let left = tokio::time::timeout(Duration::from_millis(10), get(&entry, &cloud, None)).await;
    assert!(left.is_err());
    assert_eq!(get(&entry, &cloud, None).await, Ok(password(1)));
    assert_eq!(cloud.fetched(), 1);
}
