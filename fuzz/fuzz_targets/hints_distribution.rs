#![no_main]

#[path = "../properties/hints.rs"]
mod hints;

use kube_autorollout_hints::Sender;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hints::check(Sender::Distribution, data));
