#![no_main]

#[path = "../../tests/fuzz/transport_header.rs"]
mod transport_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| transport_header::check(data));
