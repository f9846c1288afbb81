#![no_main]

#[path = "../../tests/fuzz/aac_plan.rs"]
mod aac_plan;
#[path = "../../tests/fuzz/image.rs"]
mod image;
#[path = "../../tests/fuzz/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| aac_plan::check(data));
