//! Any bytes as a chunked body: one reading however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::request::fuzz::body(data));
