//! Any bytes as a token of others, and any claims that somebody signed: nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::viewer::fuzz::foreign(data));
