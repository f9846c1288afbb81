#![no_main]

#[path = "../../tests/fuzz/range_header.rs"]
mod range_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| range_header::check(data));
