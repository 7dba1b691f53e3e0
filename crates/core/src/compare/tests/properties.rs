//! What holds whatever a registry has and whatever runs.

use proptest::prelude::*;

use super::*;

/// Registries of a few digests, with whatever behind each of them.
fn registries() -> impl Strategy<Value = Registry> {
    let platforms = [
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v6",
        "linux/arm/v7",
        "any",
        "index",
    ];
    let entry = (0..8_usize, prop::sample::select(platforms.to_vec()));
    let answer = prop_oneof![
        3 => prop::collection::vec(entry, 0..5).prop_map(|entries| index(&entries)),
        3 => (20..23_usize).prop_map(image),
        1 => (20..23_usize).prop_map(artifacts::chart),
        1 => Just(ManifestLookup::Unavailable),
    ];
    prop::collection::vec(answer, 8)
        .prop_map(|answers| Registry::new(answers.into_iter().enumerate()))
}

fn running() -> impl Strategy<Value = ImageId> {
    prop_oneof![
        (0..10_usize).prop_map(repository),
        (0..10_usize).prop_map(alias),
        (0..10_usize).prop_map(bare),
        (20..23_usize).prop_map(bare)
    ]
}

fn pulled() -> impl Strategy<Value = Option<Digest>> {
    prop::option::of((0..10_usize).prop_map(digest))
}

fn platforms() -> impl Strategy<Value = Platforms> {
    let arm = Platforms::Of(vec![Platform::new("linux", "arm")]);
    prop::sample::select(vec![Platforms::Every, Platforms::Unread, amd64(), arm])
}

proptest! {
    #[test]
    fn a_node_that_cannot_be_read_never_makes_stale_what_is_not_stale_everywhere(
        registry in registries(), running in running(), pulled in pulled(), platforms in platforms(),
    ) {
        let (unread, _) = registry.compare_pulled(&running, pulled.as_ref(), &Platforms::Unread);
        let (read, _) = registry.compare_pulled(&running, pulled.as_ref(), &platforms);
        let cannot_start = matches!(read, Verdict::CannotStart(_));
        prop_assert!(unread != Verdict::Stale || read == Verdict::Stale || cannot_start, "{read:?} became stale");
    }

    #[test]
    fn an_answer_that_becomes_an_error_never_makes_stale(
        registry in registries(), running in running(), pulled in pulled(), platforms in platforms(), failing in 0..8_usize,
    ) {
        let (before, _) = registry.compare_pulled(&running, pulled.as_ref(), &platforms);
        let mut failed = registry;
        failed.0.insert(digest(failing), ManifestLookup::Failed(Reason::Timeout));
        let (after, fetched) = failed.compare_pulled(&running, pulled.as_ref(), &platforms);
        prop_assert!(after != Verdict::Stale || before == Verdict::Stale, "{before:?} became {after:?}");
        let asked = fetched.contains(&digest(failing));
        prop_assert!(asked || after == before, "what is not asked for changes nothing");
    }

    #[test]
    fn knowing_more_does_not_change_the_verdict(
        registry in registries(), running in running(), pulled in pulled(), platforms in platforms(),
    ) {
        let (verdict, _) = registry.compare_pulled(&running, pulled.as_ref(), &platforms);
        let everything = |digest: &Digest| Some(registry.0.get(digest).cloned().unwrap_or(ManifestLookup::Unavailable));
        let question = Comparison {
            reference: &reference::parse(IMAGE).expect("a test's own image"),
            tag: &digest(1),
            running: &running,
            pulled: pulled.as_ref(),
            platforms: &platforms,
        };
        let at_once = compare(question, &everything);
        prop_assert_eq!(at_once, Step::Done(verdict));
    }

    #[test]
    fn what_the_tag_brings_is_current(registry in registries(), platforms in platforms()) {
        // After a restart the node has the digest of the tag, and may name it by the index or by what it chose of it.
        prop_assert_eq!(registry.compare(&repository(1), &platforms).0, CURRENT);
        if let Some(ManifestLookup::Manifest(manifest)) = registry.0.get(&digest(1))
            && let Manifest::Index(index) = &**manifest
            && index.entries.iter().all(|entry| !entry.nested)
        {
            for chosen in index.select(&platforms) {
                let running = ImageId::Bare(chosen.digest.clone());
                prop_assert_eq!(registry.compare(&running, &platforms).0, CURRENT);
            }
        }
    }
}
