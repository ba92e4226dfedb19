//! Any text as a token, and any signed fields: what is none of ours is unknown, and nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::viewer::fuzz::token(data));
