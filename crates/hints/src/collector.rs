//! From the names of a payload to those of images.

use std::collections::BTreeMap;

use kube_autorollout_core::reference::{self, InvalidReference};

use crate::{
    hint::{Hint, Ignored, Parsed, Tags},
    malformed::{MAX_TAGS, Malformed},
    naming::Naming,
};

/// Collects what a payload names.
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

    /// A notification that is no hint.
    pub(crate) fn ignore(&mut self, reason: Ignored) {
        *self.ignored.entry(reason).or_default() += 1;
    }

    /// A push of `tag` into a repository of the registry that the payload calls `host`.
    pub(crate) fn push(
        &mut self,
        host: Option<&str>,
        repository: &str,
        tag: Option<&str>,
    ) -> Result<(), Malformed> {
        let Some(tag) = self.pushed_tag(tag) else {
            return Ok(());
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

    /// A push of `tag` into a repository with that key of Artifactory.
    pub(crate) fn push_keyed(
        &mut self,
        key: &str,
        image: &str,
        tag: Option<&str>,
    ) -> Result<(), Malformed> {
        let Some(tag) = self.pushed_tag(tag) else {
            return Ok(());
        };
        let Some(bases) = self.naming.repositories.get(key) else {
            self.ignore(Ignored::UnknownRepository);
            return Ok(());
        };
        bases
            .iter()
            .try_for_each(|base| self.push_below(base, image, tag))
    }

    /// An image as users write it. Without a tag, a digest stands for all tags: which of them moved is not said.
    pub(crate) fn image(&mut self, image: &str) -> Result<(), Malformed> {
        let (name, rest) = image.split_at(image.find('/').unwrap_or_default());
        let image = format!("{}{rest}", name.to_ascii_lowercase());
        let reference = reference::parse(&image)?;
        match reference.tag() {
            Some(tag) if self.pushed_tag(Some(tag)).is_none() => {}
            Some(tag) => self.add(
                reference.registry(),
                reference.repository(),
                Some(tag.to_owned()),
            )?,
            None => self.add(reference.registry(), reference.repository(), None)?,
        }
        Ok(())
    }

    /// The tag, unless it is none that an image can have, which is then counted.
    fn pushed_tag<'t>(&mut self, tag: Option<&'t str>) -> Option<&'t str> {
        match tag {
            // Harbor and zot give the digest in the place of a tag that is missing
            Some(tag) if !tag.is_empty() && !tag.contains(':') => {
                if is_made_of_a_digest(tag) {
                    self.ignore(Ignored::Signature);
                    return None;
                }
                Some(tag)
            }
            _ => {
                self.ignore(Ignored::Untagged);
                None
            }
        }
    }

    /// `base` is a host with an optional path.
    fn push_below(&mut self, base: &str, repository: &str, tag: &str) -> Result<(), Malformed> {
        let name = format!("{base}/{repository}").to_ascii_lowercase();
        let host = name.split('/').next().unwrap_or_default();
        // Another first component would be read as one of a repository of Docker Hub
        if host != "localhost" && !host.contains(['.', ':']) {
            return Err(Malformed::Host);
        }
        // With a tag of that form, what follows it would be read as a digest
        if name.contains('@') {
            return Err(InvalidReference::Form.into());
        }
        let reference = reference::parse(&format!("{name}:{tag}"))?;
        self.add(
            reference.registry(),
            reference.repository(),
            Some(tag.to_owned()),
        )
    }

    /// Without a tag, all of them.
    fn add(
        &mut self,
        registry: &str,
        repository: &str,
        tag: Option<String>,
    ) -> Result<(), Malformed> {
        self.count += 1;
        if self.count > MAX_TAGS {
            return Err(Malformed::TooMany);
        }
        let key = (registry.to_owned(), repository.to_owned());
        let tags = self.tags.entry(key);
        let tags = tags.or_insert_with(|| Tags::Named([].into()));
        match (tag, &mut *tags) {
            (Some(tag), Tags::Named(named)) => {
                named.insert(tag);
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

/// Whether a tag names what belongs to a digest: signatures and attestations of cosign
/// (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>) and the lists of referrers of registries without
/// their API (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).
fn is_made_of_a_digest(tag: &str) -> bool {
    let hexadecimal = tag
        .strip_prefix("sha256-")
        .or_else(|| tag.strip_prefix("sha512-"));
    hexadecimal.is_some_and(|text| {
        let digits = text.split('.').next().unwrap_or_default();
        digits.len() >= 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
