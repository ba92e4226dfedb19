//! Any bytes as what a proxy says before its client: a header that is whole, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::guard::fuzz::proxy(data));
