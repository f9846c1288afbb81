#![no_main]

#[path = "../../tests/fuzz/mp4_index.rs"]
mod mp4_index;

libfuzzer_sys::fuzz_target!(|data: &[u8]| mp4_index::check(data));
