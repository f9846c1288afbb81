#![no_main]

#[path = "../../tests/fuzz/avcc_asc.rs"]
mod avcc_asc;
#[path = "../../tests/fuzz/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| avcc_asc::check(data));
