//! Any bytes as what a player tells of itself, in a field and in a query.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::viewer::fuzz::cmcd(data));
