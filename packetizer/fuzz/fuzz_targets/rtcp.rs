#![no_main]

#[path = "../../tests/fuzz/rtcp.rs"]
mod rtcp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtcp::check(data));
