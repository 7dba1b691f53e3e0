use super::*;
use crate::observe::pods::ContainerSpec;

fn pod(name: &str, image: &str, secrets: &[&str]) -> Arc<Pod> {
    let container = |name: &str, image: &str| Container {
        spec: Arc::new(ContainerSpec::new(name.into(), image.into(), true, false)),
        image_id: "".into(),
        waiting: None,
        started: None,
    };
    let secrets: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
    Arc::new(Pod {
        name: name.into(),
        node: None,
        ready: true,
        pull_secrets: secrets.into(),
        containers: [container("app", image), container("proxy", "other")].into(),
    })
}

#[test]
fn pods_are_grouped_by_image_and_pull_secrets() {
    let pods = [
        pod("new", "harbor/app:main", &["harbor"]),
        pod("old", "ghcr.io/app:main", &[]),
        pod("new-2", "harbor/app:main", &["harbor"]),
        pod("other-login", "harbor/app:main", &["robot"]),
    ];
    let images = Image::of(&pods, "app");
    let names: Vec<Vec<&str>> = images
        .iter()
        .map(|image| image.pods.iter().map(|(pod, _)| &*pod.name).collect())
        .collect();
    assert_eq!(
        names,
        [vec!["new", "new-2"], vec!["old"], vec!["other-login"]]
    );
    assert_eq!(images[0].name, "harbor/app:main");
    assert_eq!(Image::of(&pods, "proxy").len(), 3, "one for each login");
    assert!(Image::of(&pods, "gone").is_empty());
}

#[test]
fn a_tag_is_confirmed_by_a_pod_that_was_compared_with_it() {
    let tag: Digest = format!("sha256:{}", "a".repeat(64))
        .parse()
        .expect("a digest");
    let observed = |verdicts: &[Verdict]| {
        let pod = pod("new", "harbor/app:main", &[]);
        let pods = verdicts.iter();
        let pods = pods.map(|verdict| running(&pod, &pod.containers[0], None, *verdict));
        ImageObservation::new(Ok(tag.clone()), pods.collect())
    };
    let doubt = Verdict::Unknown(Reason::TagNotFound);
    let current = Verdict::Current(Reason::Current);
    for open in [
        &[][..],
        &[Verdict::NotStarted],
        &[Verdict::NotStarted, doubt],
    ] {
        assert_eq!(observed(open).uncompared_tag(), Some(&tag), "{open:?}");
    }
    for confirmed in [&[Verdict::Stale][..], &[Verdict::NotStarted, current]] {
        assert_eq!(observed(confirmed).uncompared_tag(), None, "{confirmed:?}");
    }
}
