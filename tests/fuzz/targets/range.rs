//! Any Range value of an object of any size: what is selected exists, once.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::request::fuzz::range(data));
