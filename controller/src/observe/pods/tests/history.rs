//! What the history of a workload shows.

use super::*;

/// Its ReplicaSets show by their ages that somebody may have gone back; from which rollout is in their templates.
#[tokio::test(start_paused = true)]
async fn templates_of_the_history_are_read_once_where_somebody_may_have_gone_back() {
    let with_history = || Since {
        templates: true,
        ..since(REFRESH, None)
    };
    let given = Given::deployments(1);
    let all = deployments(1);
    given.select(&all);
    given.get(&all).await;
    given.lists();
    let pods = given.lookup(&all[0], with_history()).await.expect("pods");
    assert_eq!(pods.undone.as_deref(), Some(&[][..]), "it is the newest");
    assert_eq!(given.lists(), []);

    let takes = Duration::from_millis(100);
    let given = Given::of(takes, 1, pod, |number| went_back(number).into());
    given.select(&all);
    let pods = given.read(&all[0], REFRESH).await.expect("pods");
    assert_eq!(pods.undone, None, "nobody wanted to know");
    given.lists();
    let pods = given.lookup(&all[0], with_history()).await.expect("pods");
    let later = format!("sha256:{}", "b".repeat(64));
    assert!(pods.are_rolled_back("app", &later.parse().expect("a digest")));
    assert_eq!(given.lists().len(), 2);
    given.lookup(&all[0], with_history()).await.expect("pods");
    let same_template = deployment(0, "2", 0);
    let pods = given.lookup(&same_template, with_history()).await;
    assert_eq!(
        pods.expect("pods")
            .undone
            .as_ref()
            .map(|undone| undone.len()),
        Some(1)
    );
    let lists = given.lists();
    assert_eq!(lists.len(), 2, "its status has changed: {lists:?}");
    time::advance(REFRESH).await;
    given.read(&same_template, REFRESH).await.expect("pods");
    let certain = Since {
        templates: true,
        ..since(Duration::from_secs(10), Some(clock::now()))
    };
    let pods = given.lookup(&same_template, certain).await.expect("pods");
    assert_eq!(pods.undone.as_ref().map(|undone| undone.len()), Some(1));
    let paths: Vec<_> = given.lists().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [PODS, PODS], "its history is known");
}
