//! How images name a repository that a payload names differently.

use std::collections::BTreeMap;

/// How images name the repositories in a receiver's payloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Naming {
    /// The registry's `host[:port]`, which replaces that of the payload.
    pub registry_host: Option<String>,
    /// A prefix of the payload's repositories, without slashes at its ends.
    pub repository_prefix: Option<String>,
    /// For Artifactory: by repository key, the hosts with optional paths under which images name it.
    pub repositories: BTreeMap<String, Vec<String>>,
}
