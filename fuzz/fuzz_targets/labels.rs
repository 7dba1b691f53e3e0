#![no_main]

#[path = "../properties/labels.rs"]
mod labels;

libfuzzer_sys::fuzz_target!(|data: &[u8]| labels::check(data));
