#![no_main]

#[path = "../../tests/fuzz/rtsp_framer.rs"]
mod rtsp_framer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtsp_framer::check(data));
