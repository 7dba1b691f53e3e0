//! The tags of a run, and what is pushed to them.

use super::{
    error::Error,
    history::{Move, Span},
    notes::Notes,
    plan::Content,
    retry::persistently,
    workloads,
};
use crate::{
    clock::now,
    image::{Image, ImageIndex, Pusher},
};

/// The version that a tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    image: usize,
    build: usize,
}

/// A tag and its pushed versions.
pub(super) struct Tag {
    repository: String,
    number: usize,
    /// Oldest first.
    versions: Vec<Version>,
    newest: Version,
}

impl Tag {
    /// A tag to which nothing was pushed.
    pub(super) fn new(home: &str, number: usize) -> Self {
        Self {
            repository: workloads::repository(home, number),
            number,
            versions: Vec::new(),
            newest: Version { image: 0, build: 0 },
        }
    }

    /// `<repository>:<tag>`.
    pub(super) fn name(&self) -> String {
        format!("{}:t{}", self.repository, self.number)
    }

    /// `<repository>@<digest>` of what it names.
    pub(super) fn pinned(&self) -> String {
        let version = self.versions.last().copied().unwrap_or(self.newest);
        format!("{}@{}", self.repository, self.index(version).digest())
    }

    fn image(&self, version: Version) -> Image {
        Image::new(format!("{} image {}", self.name(), version.image))
    }

    fn index(&self, version: Version) -> ImageIndex {
        ImageIndex::of([self.image(version)]).attested(&format!("build {}", version.build))
    }

    fn next(&mut self, content: Content) -> Version {
        let present = self.versions.last().copied();
        let back = self
            .versions
            .iter()
            .rev()
            .find(|version| Some(version.image) != present.map(|version| version.image));
        let image = match (content, present, back) {
            (Content::Back, _, Some(version)) => return *version,
            (Content::Rebuilt, _, Some(version)) => version.image,
            (Content::Attested, Some(present), _) => present.image,
            _ => {
                self.newest.image += 1;
                self.newest.image
            }
        };
        self.newest.build += 1;
        Version {
            image,
            build: self.newest.build,
        }
    }

    /// Pushes, with retries until it succeeds.
    pub(super) async fn push(
        &mut self,
        content: Content,
        pusher: &Pusher,
        notes: &Notes,
    ) -> Result<(), Error> {
        let version = self.next(content);
        let (image, index) = (self.image(version), self.index(version));
        let tag = format!("t{}", self.number);
        let begun = now();
        persistently(async || pusher.push(&index, &self.repository, &tag).await).await?;
        self.versions.push(version);
        notes.content().moves.push(Move {
            tag: self.name(),
            span: Span::since(begun),
            digest: index.digest().to_string(),
            config: image.config_digest().to_string(),
        });
        Ok(())
    }
}
