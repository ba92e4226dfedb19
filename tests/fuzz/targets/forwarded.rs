//! Any bytes as the fields that proxies add to: somebody is named, or nobody, and nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::guard::fuzz::forwarded(data));
