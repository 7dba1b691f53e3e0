//! The lists of certificate files.

use std::path::PathBuf;

use super::super::{
    files::{self, CaFile},
    model::{List, entries},
    problem::KeyPath,
    report::Report,
    scalar::Valid,
};

/// Reads the files of a list.
pub(super) fn certificates(
    files: List<Valid<PathBuf>>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Vec<CaFile> {
    entries(files, path)
        .filter_map(|(path, Valid(file))| report.checked(&path, files::certificates(file)))
        .collect()
}
