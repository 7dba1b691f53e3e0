#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kube_autorollout_registry::fuzz_challenge(data));
