#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| server_fuzz::checks::range_header(data));
