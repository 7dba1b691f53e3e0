//! The pages of the project, and the blocks of code in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands in a file of the repository.
pub(crate) fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every page of the project, by its path.
pub(crate) fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    below("", &mut pages);
    pages.sort();
    pages
}

/// Adds the pages of a folder, which is empty or ends with a slash, and of those in it.
fn below(folder: &str, pages: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = !name.starts_with('.') && !["target", "corpus"].contains(&&*name);
        if is_ours && entry.file_type().expect("a type").is_dir() {
            below(&format!("{folder}{name}/"), pages);
        } else if entry.path().extension().is_some_and(|end| end == "md") {
            pages.push(format!("{folder}{name}"));
        }
    }
}

/// A block of code.
pub(crate) struct Block {
    /// What stands behind the fence.
    pub(crate) kind: String,
    /// What is in it.
    pub(crate) text: String,
}

/// The blocks of a page.
pub(crate) fn all_blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(Block {
                text: inside.collect::<Vec<_>>().join("\n"),
                kind: kind.to_owned(),
            });
        }
    }
    blocks
}

/// What is in the blocks of a kind.
pub(crate) fn blocks(text: &str, kind: &str) -> Vec<String> {
    let blocks = all_blocks(text).into_iter();
    let blocks = blocks.filter(|block| block.kind == kind);
    blocks.map(|block| block.text).collect()
}

/// What is typed in a block of commands, without comments: the lines behind `$ ` where there is output too, else all.
pub(crate) fn typed(block: &str) -> Vec<String> {
    let has_output = block.lines().any(|line| line.starts_with("$ "));
    let lines = block.lines().filter_map(|line| {
        let typed = line.strip_prefix("$ ");
        if has_output { typed } else { Some(line) }
    });
    let without_comment = lines.map(|line| line.split("  #").next().unwrap_or(line));
    without_comment.map(|line| line.trim().to_owned()).collect()
}
