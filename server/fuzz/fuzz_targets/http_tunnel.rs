#![no_main]

#[path = "../../tests/fuzz/http_tunnel.rs"]
mod http_tunnel;

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_tunnel::check(data));
