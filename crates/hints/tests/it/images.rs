//! Which images a receiver may hint.

use kube_autorollout_hints::{Hint, ImagePatterns, InvalidPattern, Tags};

fn hint(name: &str) -> Hint {
    let (registry, repository) = name.split_once('/').expect("a registry");
    Hint {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        tags: Tags::All,
    }
}

#[test]
fn patterns_are_over_registry_and_repository() {
    for (pattern, name, permitted) in [
        ("ghcr.io/team/*", "ghcr.io/team/web", true),
        ("ghcr.io/team/*", "ghcr.io/team/app/web", true),
        ("ghcr.io/team/*", "ghcr.io/teams/web", false),
        ("ghcr.io/team/*", "ghcr.io.example.org/team/web", false),
        ("ghcr.io/team/web", "ghcr.io/team/web", true),
        ("ghcr.io/team/web", "ghcr.io/team/website", false),
        ("ghcr.io/*/web", "ghcr.io/team/web", true),
        ("*.example.org/*", "eu.example.org/team/web", true),
        ("*/team/web", "ghcr.io/team/web", true),
        ("docker.io/library/*", "docker.io/library/nginx", true),
        (
            "registry.internal:5000/team/*",
            "registry.internal:5000/team/web",
            true,
        ),
        ("localhost/*", "localhost/team/web", true),
        ("*", "ghcr.io/team/web", true),
    ] {
        let mut patterns = ImagePatterns::default();
        assert_eq!(patterns.add(pattern), Ok(()), "{pattern}");
        assert_eq!(patterns.permit(&hint(name)), permitted, "{pattern}, {name}");
    }
}

#[test]
fn no_patterns_permit_all_and_one_of_several_is_enough() {
    let mut patterns = ImagePatterns::default();
    assert!(patterns.permit(&hint("ghcr.io/team/web")));
    patterns.add("ghcr.io/other/*").expect("a pattern");
    assert!(!patterns.permit(&hint("ghcr.io/team/web")));
    patterns.add("ghcr.io/team/*").expect("a pattern");
    assert!(patterns.permit(&hint("ghcr.io/team/web")));
}

#[test]
fn patterns_that_would_match_nothing_are_refused() {
    for (pattern, error) in [
        ("", InvalidPattern::NoRegistry),
        ("nginx", InvalidPattern::NoRegistry),
        ("team/*", InvalidPattern::NoRegistry),
        ("ghcr.io", InvalidPattern::NoRegistry),
        ("ghcr.io/", InvalidPattern::NoRegistry),
        ("https://ghcr.io/team/*", InvalidPattern::NoRegistry),
        ("index.docker.io/team/*", InvalidPattern::Alias),
        ("ghcr.io/Team/*", InvalidPattern::Uppercase),
        ("ghcr.io/team/web:main", InvalidPattern::Tag),
        ("ghcr.io/team/web@sha256", InvalidPattern::Tag),
    ] {
        assert_eq!(
            ImagePatterns::default().add(pattern),
            Err(error),
            "{pattern}"
        );
    }
    let refused = ImagePatterns::default().add("ghcr.io/[");
    assert!(matches!(refused, Err(InvalidPattern::Glob(_))));
}
