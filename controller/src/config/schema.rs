//! The names of all keys: what the environment may name, which keys are unknown, and which hold a secret.

/// One key of a mapping.
pub(super) struct Key {
    /// As it is written in the file.
    pub(super) name: &'static str,
    /// What stands under it.
    pub(super) holds: Holds,
}

/// What stands under a key.
pub(super) enum Holds {
    /// A text, number or boolean, or a list of them.
    Value,
    /// A text that is never shown.
    Secret,
    /// A mapping with these keys.
    Section(&'static [Key]),
    /// A list of mappings with these keys.
    Sections(&'static [Key]),
}

const fn value(name: &'static str) -> Key {
    Key {
        name,
        holds: Holds::Value,
    }
}

const fn section(name: &'static str, keys: &'static [Key]) -> Key {
    Key {
        name,
        holds: Holds::Section(keys),
    }
}

/// The keys of the whole configuration.
pub(super) const KEYS: &[Key] = &[
    value("cronSchedule"),
    value("interval"),
    value("timeZone"),
    value("logLevel"),
    value("logFormat"),
    section("webserver", &[value("port")]),
    section("watch", &[value("namespaces")]),
    value("platforms"),
    section(
        "rollouts",
        &[
            value("maxConcurrent"),
            value("minInterval"),
            value("settle"),
            value("retryAfter"),
        ],
    ),
    section("leaderElection", &[value("enabled")]),
    Key {
        name: "registries",
        holds: Holds::Sections(REGISTRY),
    },
    section("tls", &[value("caCertificatePaths")]),
    section(
        "featureFlags",
        &[
            value("enableJfrogArtifactoryFallback"),
            value("enableKubectlAnnotation"),
        ],
    ),
];

const REGISTRY: &[Key] = &[
    value("hostnamePattern"),
    value("endpoint"),
    section("secret", SECRET),
    value("caCertificatePaths"),
    value("plainHttp"),
    value("maxConcurrentRequests"),
];

const SECRET: &[Key] = &[
    value("type"),
    value("mountPath"),
    value("username"),
    Key {
        name: "token",
        holds: Holds::Secret,
    },
    value("tokenFile"),
    value("name"), // the chart's word, of no meaning here
    value("key"),  // the chart's word, of no meaning here
];

/// Finds a key by its exact name.
pub(super) fn find<'k>(keys: &'k [Key], name: &str) -> Option<&'k Key> {
    keys.iter().find(|key| key.name == name)
}

/// The keys that an environment variable can name by `levels`, ignoring case; those in lists have no such name.
pub(super) fn resolve(levels: &str) -> Option<Vec<&'static str>> {
    let mut keys = KEYS;
    let mut path = Vec::new();
    for level in levels.split("__") {
        let key = keys
            .iter()
            .find(|key| key.name.eq_ignore_ascii_case(level))?;
        path.push(key.name);
        keys = match key.holds {
            Holds::Section(keys) => keys,
            Holds::Value | Holds::Secret | Holds::Sections(_) => &[],
        };
    }
    Some(path)
}

/// Every key path that an environment variable can name, in the variables' own writing.
pub(super) fn variables() -> Vec<String> {
    fn walk(keys: &[Key], prefix: &str, into: &mut Vec<String>) {
        for key in keys {
            let name = format!("{prefix}{}", key.name.to_ascii_uppercase());
            if let Holds::Section(keys) = key.holds {
                walk(keys, &format!("{name}__"), into);
            }
            into.push(name);
        }
    }
    let mut names = Vec::new();
    walk(KEYS, "", &mut names);
    names
}

/// The known key most like `name`: one of its `siblings` by its name, or one from elsewhere by its path.
pub(super) fn nearest(name: &str, siblings: &[Key]) -> String {
    let mut candidates = Vec::new();
    walk(KEYS, "", &mut |key, path| {
        candidates.push((key.name, path.to_owned()));
    });
    candidates.extend(
        siblings.iter().map(|key| (key.name, key.name.to_owned())), // last: of equals, `closest` takes the last
    );
    closest(name, candidates).unwrap_or_default()
}

pub(super) fn walk(keys: &[Key], prefix: &str, visit: &mut dyn FnMut(&Key, &str)) {
    for key in keys {
        let path = format!("{prefix}{}", key.name);
        visit(key, &path);
        match key.holds {
            Holds::Section(keys) => walk(keys, &format!("{path}."), visit),
            Holds::Sections(keys) => walk(keys, &format!("{path}[]."), visit),
            Holds::Value | Holds::Secret => {}
        }
    }
}

/// The second of the pair whose first is most like `name`.
pub(super) fn closest<'n>(
    name: &str,
    candidates: impl IntoIterator<Item = (&'n str, String)>,
) -> Option<String> {
    let name = name.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|(candidate, answer)| {
            let candidate = candidate.to_ascii_lowercase();
            (
                strsim::normalized_damerau_levenshtein(&name, &candidate),
                answer,
            )
        })
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, answer)| answer)
}
