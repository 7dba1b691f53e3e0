//! Lists that the workloads of a namespace share.

use super::*;

#[tokio::test(start_paused = true)]
async fn many_new_workloads_share_one_list_of_their_namespace() {
    let fixture = Fixture::deployments(30);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all).await;
    assert_eq!(fixture.lists(), [whole(PODS), whole(REPLICA_SETS)]);
    fixture.get(&all).await;
    assert_eq!(fixture.lists(), [], "they are cached");
}

#[tokio::test(start_paused = true)]
async fn workloads_that_follow_soon_share_the_same_list() {
    let fixture = Fixture::deployments(30);
    let all = deployments(30);
    fixture.select(&all);
    fixture.get(&all[..10]).await;
    fixture.lists();
    fixture.get(&all).await;
    assert_eq!(fixture.lists(), [], "nothing has changed since it began");
}

#[tokio::test(start_paused = true)]
async fn a_single_workload_gets_a_list_of_its_own() {
    let fixture = Fixture::deployments(30);
    fixture.select(&deployments(1));
    fixture.get(&deployments(1)).await;
    let selectors = fixture.lists().into_iter().map(|(_, selector)| selector);
    assert_eq!(
        selectors.collect::<Vec<_>>(),
        ["app%3Dweb-0", "app%3Dweb-0"]
    );
}

#[tokio::test(start_paused = true)]
async fn namespaces_without_requests_are_dropped() {
    let fixture = Fixture::deployments(10);
    let workloads: Vec<_> = (0..10).map(|number| deployment(number, "1", 1)).collect();
    fixture.select(&workloads);
    fixture.get(&workloads).await;
    fixture.lister.tidy();
    assert_eq!(
        fixture.lister.namespaces.lock().len(),
        1,
        "its list is still fresh"
    );
    time::advance(Duration::from_secs(60)).await;
    fixture.lister.tidy();
    assert_eq!(fixture.lister.namespaces.lock().len(), 0);
    fixture.get(&workloads).await;
}
