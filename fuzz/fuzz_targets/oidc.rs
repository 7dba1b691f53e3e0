#![no_main]

#[path = "../properties/oidc.rs"]
mod oidc;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oidc::check(data));
