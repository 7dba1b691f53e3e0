//! What cannot be known, and is never called stale.

use super::*;

#[test]
fn indexes_nested_too_deeply_or_widely_are_unknown() {
    let too_large = Verdict::Unknown(Reason::ManifestTooLarge);
    let itself = Registry::new([(1, index(&[(1, "index")]))]);
    itself.assert(&repository(2), &amd64(), too_large, &[1]);
    let deep = |deepest: usize| (1..=deepest).map(|level| (level, index(&[(level + 1, "index")])));
    let four = Registry::new(deep(4).chain([(5, index(&[(50, "linux/amd64")]))]));
    four.assert(&repository(50), &amd64(), CURRENT, &[1, 2, 3, 4, 5]);
    let five = Registry::new(deep(5).chain([(6, index(&[(50, "linux/amd64")]))]));
    five.assert(&repository(50), &amd64(), too_large, &[1, 2, 3, 4, 5]);
    let wide: Vec<(usize, &str)> = (100..=100 + MAX_MANIFESTS)
        .map(|number| (number, "index"))
        .collect();
    Registry::new([(1, index(&wide))]).assert(&repository(2), &amd64(), too_large, &[1]);
}

#[test]
fn too_many_images_are_unknown() {
    let too_large = Verdict::Unknown(Reason::ManifestTooLarge);
    let architectures: Vec<(usize, String)> = (100..=100 + MAX_MANIFESTS)
        .map(|number| (number, format!("linux/{number}")))
        .collect();
    let many: Vec<(usize, &str)> = architectures
        .iter()
        .map(|(number, platform)| (*number, &**platform))
        .collect();
    let registry = Registry::new([(1, index(&many)), (2, index(&[(10, "linux/amd64")]))]);
    registry.assert(&repository(2), &Platforms::Every, too_large, &[1, 2]);
    registry.assert(&bare(2), &Platforms::Every, too_large, &[1]);
    registry.assert(&bare(100), &Platforms::Every, CURRENT, &[1]); // no configuration is needed for that
}

#[test]
fn a_failure_anywhere_is_unknown_and_never_stale() {
    let full = [
        (1, index(&[(5, "index"), (11, "linux/amd64")])),
        (5, index(&[])),
        (2, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (11, image(21)),
    ];
    Registry::new(full.clone()).assert(
        &repository(2),
        &amd64(),
        Verdict::Stale,
        &[1, 5, 2, 10, 11],
    );
    for (number, _) in &full {
        let mut registry = Registry::new(full.clone());
        registry
            .0
            .insert(digest(*number), ManifestLookup::Failed(Reason::Timeout));
        let (verdict, _) = registry.compare(&repository(2), &amd64());
        assert_eq!(
            verdict,
            Verdict::Unknown(Reason::Timeout),
            "{number} failed"
        );
    }
}

#[test]
fn a_tag_with_missing_content_is_unknown() {
    let missing = Verdict::Unknown(Reason::TagNotFound);
    Registry::default().assert(&repository(2), &amd64(), missing, &[1]);
    let half_pushed = Registry::new([(1, index(&[(11, "linux/amd64")])), (2, image(20))]);
    half_pushed.assert(&repository(2), &amd64(), missing, &[1, 2, 11]);
    half_pushed.assert(&bare(20), &amd64(), missing, &[1, 11]);
    Registry::new([(1, index(&[(5, "index")]))]).assert(&repository(2), &amd64(), missing, &[1, 5]);
}

#[test]
fn contradictory_media_types_are_unknown() {
    let lie = Verdict::Unknown(Reason::UnsupportedMediaType);
    let nested = Registry::new([(1, index(&[(5, "index")])), (5, image(20))]);
    nested.assert(&repository(2), &amd64(), lie, &[1, 5]);
    let image_is_index = Registry::new([
        (1, index(&[(5, "linux/amd64")])),
        (5, index(&[])),
        (2, image(20)),
    ]);
    image_is_index.assert(&repository(2), &amd64(), lie, &[1, 2, 5]);
}
