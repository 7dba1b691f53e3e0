//! Lists that the workloads of a namespace share.

use super::*;

#[tokio::test(start_paused = true)]
async fn many_new_workloads_share_one_list_of_their_namespace() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    assert_eq!(given.lists(), [whole(PODS), whole(REPLICA_SETS)]);
    given.get(&all).await;
    assert_eq!(given.lists(), [], "they are cached");
}

#[tokio::test(start_paused = true)]
async fn workloads_that_follow_soon_share_the_same_list() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all[..10]).await;
    given.lists();
    given.get(&all).await;
    assert_eq!(given.lists(), [], "nothing has changed since it began");
}

#[tokio::test(start_paused = true)]
async fn a_single_workload_gets_a_list_of_its_own() {
    let given = Given::deployments(30);
    given.select(&deployments(1));
    given.get(&deployments(1)).await;
    let selectors = given.lists().into_iter().map(|(_, selector)| selector);
    assert_eq!(
        selectors.collect::<Vec<_>>(),
        ["app%3Dweb-0", "app%3Dweb-0"]
    );
}

#[tokio::test(start_paused = true)]
async fn namespaces_without_requests_are_dropped() {
    let given = Given::deployments(10);
    let workloads: Vec<_> = (0..10).map(|number| deployment(number, "1", 1)).collect();
    given.select(&workloads);
    given.get(&workloads).await;
    given.store.tidy();
    assert_eq!(
        given.store.namespaces.lock().len(),
        1,
        "its list is still fresh"
    );
    time::advance(Duration::from_secs(60)).await;
    given.store.tidy();
    assert_eq!(given.store.namespaces.lock().len(), 0);
    given.get(&workloads).await;
}
