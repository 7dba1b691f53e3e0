//! Rolled-back rollouts in the history of a workload.

use super::*;

/// The ages of its ReplicaSets show that a rollout may have been rolled back; their templates show which.
#[tokio::test(start_paused = true)]
async fn templates_of_the_history_are_listed_once_where_a_rollout_may_have_been_rolled_back() {
    let with_history = || PodFreshness {
        rollbacks: true,
        ..within(REFRESH, None)
    };
    let fixture = Fixture::deployments(1);
    let all = deployments(1);
    fixture.select(&all);
    fixture.get(&all).await;
    fixture.lists();
    let pods = fixture.lookup(&all[0], with_history()).await.expect("pods");
    assert_eq!(
        pods.rolled_back.as_deref(),
        Some(&[][..]),
        "it is the newest"
    );
    assert_eq!(fixture.lists(), []);

    let takes = Duration::from_millis(100);
    let fixture = Fixture::of(takes, 1, pod, |number| rolled_back(number).into());
    fixture.select(&all);
    let pods = fixture.read(&all[0], REFRESH).await.expect("pods");
    assert_eq!(pods.rolled_back, None, "it was not requested");
    fixture.lists();
    let pods = fixture.lookup(&all[0], with_history()).await.expect("pods");
    let later = format!("sha256:{}", "b".repeat(64)).parse().ok();
    assert!(pods.are_rolled_back("app", later.as_ref(), None));
    assert_eq!(fixture.lists().len(), 2);
    fixture.lookup(&all[0], with_history()).await.expect("pods");
    let same_template = deployment(0, "2", 0);
    let pods = fixture.lookup(&same_template, with_history()).await;
    assert_eq!(
        pods.expect("pods")
            .rolled_back
            .as_ref()
            .map(|rolled_back| rolled_back.len()),
        Some(1)
    );
    let lists = fixture.lists();
    assert_eq!(lists.len(), 2, "its status has changed: {lists:?}");
    time::advance(REFRESH).await;
    fixture.read(&same_template, REFRESH).await.expect("pods");
    let certain = PodFreshness {
        rollbacks: true,
        ..within(Duration::from_secs(10), Some(clock::now()))
    };
    let pods = fixture.lookup(&same_template, certain).await.expect("pods");
    assert_eq!(
        pods.rolled_back
            .as_ref()
            .map(|rolled_back| rolled_back.len()),
        Some(1)
    );
    let paths: Vec<_> = fixture.lists().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [PODS, PODS], "its history is known");
}

#[test]
fn a_digest_was_rolled_back_if_it_is_that_of_the_tag_or_may_be() {
    let digest = |digit: &str| {
        let digest = format!("sha256:{}", digit.repeat(64));
        digest.parse::<Digest>().expect("a digest")
    };
    let [later, other] = ["b", "c"].map(digest);
    let pods = Pods {
        rolled_back: Some([("app".into(), later.clone())].into()),
        ..Pods::default()
    };
    let cases = [
        ("app", Some(&later), None, true),
        ("app", Some(&later), Some(&later), true),
        ("app", Some(&other), None, false),
        ("app", None, None, true),
        ("app", None, Some(&other), true),
        ("app", None, Some(&later), false),
        ("proxy", None, None, false),
    ];
    for (container, tag, recorded, expected) in cases {
        let rolled_back = pods.are_rolled_back(container, tag, recorded);
        assert_eq!(rolled_back, expected, "{container} {tag:?} {recorded:?}");
    }
}
