//! Replays the corpus of a fuzz target in an ordinary test.

use std::{
    fs,
    panic::{self, RefUnwindSafe},
    path::Path,
};

/// Calls `check` with every input in `fuzz/corpus/<target>`.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8]) + RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for file in fs::read_dir(&folder).expect("the folder of the corpus") {
        let path = file.expect("a file of the corpus").path();
        let data = fs::read(&path).expect("an input");
        let outcome = panic::catch_unwind(|| check(&data));
        assert!(outcome.is_ok(), "a property fails for {}", path.display());
        inputs += 1;
    }
    assert_ne!(inputs, 0, "{} holds no input", folder.display());
}
