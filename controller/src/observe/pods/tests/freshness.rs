//! How old a list may be for a check and for a rollout.

use super::*;

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_one_list_of_pods_refreshes_all_workloads_of_a_namespace() {
    let fixture = Fixture::deployments(30);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all).await;
    fixture.lists();
    time::advance(REFRESH).await;
    for (number, workload) in all.iter().enumerate() {
        let pods = fixture.read(workload, REFRESH).await;
        let pods = pods.expect("pods");
        assert_eq!(&*pods.current[0].name, format!("web-{number}-pod"));
        time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(fixture.lists(), [whole(PODS)]);
}

/// A pod whose image could not be pulled may start another one and never become ready, which does not change its workload.
#[tokio::test(start_paused = true)]
async fn after_a_minute_one_list_refreshes_the_workloads_with_waiting_containers() {
    let waiting = |number: usize| {
        let mut pod = pod(number);
        let state = json!({ "waiting": { "reason": "ImagePullBackOff" } });
        let image = json!({ "name": "app", "imageID": "", "state": state });
        pod["status"] = json!({ "containerStatuses": [image] });
        pod
    };
    let fixture = Fixture::of_pods(Duration::from_millis(100), 30, waiting);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all).await;
    fixture.lists();
    time::advance(cache::REFRESH_STARTING_OR_STUCK / 2).await;
    fixture.get(&all).await;
    assert_eq!(fixture.lists(), [], "they are cached");
    time::advance(cache::REFRESH_STARTING_OR_STUCK / 2).await;
    fixture.get(&all[..1]).await;
    assert_eq!(fixture.lists(), [whole(PODS)]);
    fixture.get(&all).await;
    assert_eq!(fixture.lists(), [], "they are cached again");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_needs_a_list_that_started_after_the_registry_request() {
    let fixture = Fixture::deployments(30);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all).await;
    let before = clock::now();
    fixture.lists();
    let certain = |number: usize, asked| {
        let age = Duration::from_secs(10);
        fixture.lookup(&all[number], within(age, Some(asked)))
    };
    let earlier = before - jiff::SignedDuration::from_mins(1);
    certain(3, earlier).await.expect("pods");
    assert_eq!(fixture.lists(), [], "the last list started later");
    // The workload has not changed, so its history is known: only its pods are listed.
    let own = |number: usize| (PODS.to_owned(), format!("app%3Dweb-{number}"));
    certain(3, before).await.expect("pods");
    assert_eq!(fixture.lists(), [own(3)], "the last list started earlier");
    time::advance(Duration::from_secs(10)).await;
    certain(4, earlier).await.expect("pods");
    assert_eq!(fixture.lists(), [own(4)], "the last list is old");
}

#[tokio::test(start_paused = true)]
async fn a_changed_workload_needs_a_list_that_started_later() {
    let fixture = Fixture::deployments(30);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all).await;
    fixture.lists();
    time::advance(Duration::from_millis(1)).await;
    fixture.get(&[deployment(0, "2", 1)]).await;
    assert_eq!(fixture.lists().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_changes_more_often_than_a_list_takes_gets_the_list_that_it_waited_for() {
    let fixture = Fixture::deployments(1);
    fixture.select(&deployments(1));
    let waited = Instant::now();
    let freshness = PodFreshness {
        waited: Some(waited),
        ..within(REFRESH, None)
    };
    let mut version = 0;
    let pods = until_ready(|waiter| {
        version += 1;
        let changed = deployment(0, &version.to_string(), 1);
        fixture
            .lister
            .lookup(&changed, freshness, waiter)
            .transpose()
    });
    assert_eq!(&*pods.await.expect("pods").current[0].name, "web-0-pod");
    assert_eq!(version, 2);
    let updated = deployment(0, "9", 0);
    let lookup = fixture.lookup(&updated, freshness).await;
    lookup.expect("pods");
    assert_eq!(fixture.lists().len(), 4, "its status has changed");
}

#[tokio::test(start_paused = true)]
async fn the_pause_after_a_list_of_a_namespace_is_shorter_for_a_rollout_than_for_others() {
    // The milliseconds that a list takes, and when the next list of each has ended
    for (takes, urgent, other) in [
        (100, 500, 2_200),
        (1_000, 3_000, 6_000),
        (20_000, 50_000, 70_000),
    ] {
        let fixture = Fixture::listed_in(Duration::from_millis(takes), 30);
        let all = deployments(30);
        fixture.select(&all);
        let begun = Instant::now();
        fixture.get(&all).await;
        let certain = fixture.lookup(&all[3], within(REFRESH, Some(clock::now())));
        certain.await.expect("pods");
        let next = [begun.elapsed(), {
            fixture.get(&[deployment(0, "2", 1)]).await;
            begun.elapsed()
        }];
        // The paused clock goes by milliseconds
        let about = next.map(|elapsed| elapsed.as_millis() / 10 * 10);
        assert_eq!(about, [urgent, other], "{takes}");
    }
}
