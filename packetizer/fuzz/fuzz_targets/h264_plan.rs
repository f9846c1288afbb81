#![no_main]

#[path = "../../tests/fuzz/h264_plan.rs"]
mod h264_plan;
#[path = "../../tests/fuzz/image.rs"]
mod image;
#[path = "../../tests/fuzz/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| h264_plan::check(data));
