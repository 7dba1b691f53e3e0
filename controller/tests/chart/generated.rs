//! Files that are made from others and committed.

use std::{fs, path::Path};

/// Fails when a file of the repository is not what it should be, with the way to make it so.
pub(crate) fn is_up_to_date(file: &str, expected: &str) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if fs::read_to_string(&committed).is_ok_and(|text| text == expected) {
        return;
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    fs::create_dir_all(made.parent().expect("a folder")).expect("a folder");
    fs::write(&made, expected).expect("a file");
    panic!(
        "{file} is behind what it is made from; to fix it: cp {} {file}",
        made.display()
    );
}
