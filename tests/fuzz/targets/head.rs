//! Any bytes as a request head: one reading however they are cut, and no path that climbs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::request::fuzz::head(data));
