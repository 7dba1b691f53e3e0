//! How images name a repository that a payload names otherwise.

use std::collections::BTreeMap;

/// How images name the repositories of a receiver's payloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Naming {
    /// The registry's `host[:port]` in the place of the payload's.
    pub registry_host: Option<String>,
    /// What stands before the repository of the payload, without slashes at its ends.
    pub repository_prefix: Option<String>,
    /// For Artifactory: by the key of a repository, the hosts with optional paths under which images name it.
    pub repositories: BTreeMap<String, Vec<String>>,
}
