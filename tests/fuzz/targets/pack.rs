//! Any bytes as a pack: refused, or every object is found, safe and inside the file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::pack::fuzz::pack(data));
