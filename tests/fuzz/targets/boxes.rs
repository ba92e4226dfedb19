//! Any bytes as an encoder's stream: one reading however they are cut, and nothing outside of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::live::fuzz::boxes(data));
