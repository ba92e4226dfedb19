//! Any bytes as the parameters of an app's request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::middleware::fuzz::form(data));
