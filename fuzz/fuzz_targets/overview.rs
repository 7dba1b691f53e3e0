#![no_main]

#[path = "../properties/overview.rs"]
mod overview;

libfuzzer_sys::fuzz_target!(|data: &[u8]| overview::check(data));
