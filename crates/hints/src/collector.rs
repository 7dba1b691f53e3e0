//! Translates the names in payloads to image references.

use std::collections::BTreeMap;

use kube_autorollout_core::{
    Reference,
    reference::{self, InvalidReference},
};

use crate::{
    hint::{Hint, Ignored, Parsed, Tags},
    malformed::{MAX_TAGS, Malformed},
    naming::Naming,
};

/// Collects the images in a payload.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    naming: &'a Naming,
    tags: BTreeMap<(String, String), Tags>,
    count: usize,
    ignored: BTreeMap<Ignored, usize>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(naming: &'a Naming) -> Self {
        Self {
            naming,
            tags: BTreeMap::new(),
            count: 0,
            ignored: BTreeMap::new(),
        }
    }

    /// Counts a notification that is not a hint.
    #[expect(clippy::unnecessary_wraps, reason = "callers return the result")]
    pub(crate) fn ignore(&mut self, reason: Ignored) -> Result<(), Malformed> {
        *self.ignored.entry(reason).or_default() += 1;
        Ok(())
    }

    /// Adds a push of `tag` to a repository of the registry that the payload calls `host`.
    pub(crate) fn push(
        &mut self,
        host: Option<&str>,
        repository: &str,
        tag: Option<&str>,
    ) -> Result<(), Malformed> {
        let tag = match pushed_tag(tag) {
            Ok(tag) => tag,
            Err(reason) => return self.ignore(reason),
        };
        let configured = self.naming.registry_host.as_deref();
        let given = host.filter(|host| !host.is_empty());
        let host = configured.or(given).ok_or(Malformed::NoHost)?;
        let base = match &self.naming.repository_prefix {
            Some(prefix) => format!("{host}/{prefix}"),
            None => host.to_owned(),
        };
        self.push_below(&base, repository, tag)
    }

    /// Adds a push of `tag` to the repository of Artifactory with this key.
    pub(crate) fn push_keyed(
        &mut self,
        key: &str,
        image: &str,
        tag: Option<&str>,
    ) -> Result<(), Malformed> {
        let tag = match pushed_tag(tag) {
            Ok(tag) => tag,
            Err(reason) => return self.ignore(reason),
        };
        let Some(bases) = self.naming.repositories.get(key) else {
            return self.ignore(Ignored::UnknownRepository);
        };
        bases
            .iter()
            .try_for_each(|base| self.push_below(base, image, tag))
    }

    /// Adds an image as users write it. One with a digest and no tag stands for all tags, because the moved one is unknown.
    pub(crate) fn image(&mut self, image: &str) -> Result<(), Malformed> {
        let (name, rest) = image.split_at(image.find('/').unwrap_or_default());
        let image = format!("{}{rest}", name.to_ascii_lowercase());
        let reference = reference::parse(&image)?;
        match reference.tag().map(|tag| pushed_tag(Some(tag))) {
            Some(Err(reason)) => self.ignore(reason),
            Some(Ok(tag)) => self.add(&reference, Some(tag)),
            None => self.add(&reference, None),
        }
    }

    /// Adds a repository below `base`, a host with an optional path.
    fn push_below(&mut self, base: &str, repository: &str, tag: &str) -> Result<(), Malformed> {
        let name = format!("{base}/{repository}").to_ascii_lowercase();
        let host = name.split('/').next().unwrap_or_default();
        // Otherwise it would be parsed as a repository of Docker Hub
        if host != "localhost" && !host.contains(['.', ':']) {
            return Err(Malformed::Host);
        }
        // Otherwise the rest would be parsed as a digest
        if name.contains('@') {
            return Err(InvalidReference::Form.into());
        }
        let reference = reference::parse(&format!("{name}:{tag}"))?;
        self.add(&reference, Some(tag))
    }

    /// Adds a tag of a repository, or all tags.
    fn add(&mut self, reference: &Reference, tag: Option<&str>) -> Result<(), Malformed> {
        self.count += 1;
        if self.count > MAX_TAGS {
            return Err(Malformed::TooMany);
        }
        let (registry, repository) = (reference.registry(), reference.repository());
        let key = (registry.to_owned(), repository.to_owned());
        let tags = self.tags.entry(key);
        let tags = tags.or_insert_with(|| Tags::Named([].into()));
        match (tag, &mut *tags) {
            (Some(tag), Tags::Named(named)) => {
                named.insert(tag.to_owned());
            }
            (Some(_), Tags::All) => {}
            (None, _) => *tags = Tags::All,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Parsed {
        let hints = self.tags.into_iter();
        let hints = hints.map(|((registry, repository), tags)| Hint {
            registry,
            repository,
            tags,
        });
        Parsed {
            hints: hints.collect(),
            ignored: self.ignored,
        }
    }
}

/// The tag, unless it is not that of an image.
fn pushed_tag(tag: Option<&str>) -> Result<&str, Ignored> {
    match tag {
        // Harbor and zot send the digest if there is no tag
        Some(tag) if !tag.is_empty() && !tag.contains(':') => {
            if is_derived_from_digest(tag) {
                return Err(Ignored::Signature);
            }
            Ok(tag)
        }
        _ => Err(Ignored::Untagged),
    }
}

/// Whether a tag is derived from the digest that it belongs to: signatures and attestations of cosign
/// (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>) and referrers lists of registries without
/// the referrers API (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).
fn is_derived_from_digest(tag: &str) -> bool {
    let hexadecimal = tag
        .strip_prefix("sha256-")
        .or_else(|| tag.strip_prefix("sha512-"));
    hexadecimal.is_some_and(|text| {
        let digits = text.split('.').next().unwrap_or_default();
        digits.len() >= 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
