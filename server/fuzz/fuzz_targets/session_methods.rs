#![no_main]

#[path = "../../tests/fuzz/input.rs"]
mod input;
#[path = "../../tests/fuzz/session_methods/mod.rs"]
mod session_methods;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session_methods::check(data));
