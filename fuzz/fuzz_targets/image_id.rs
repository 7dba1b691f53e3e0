#![no_main]

#[path = "../properties/image_id.rs"]
mod image_id;

libfuzzer_sys::fuzz_target!(|data: &[u8]| image_id::check(data));
