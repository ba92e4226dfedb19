//! Any bytes as a path and a query that ask for what is past as others do.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::live::fuzz::dialect(data));
