//! Any bytes as a file that says where addresses are.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::control::fuzz::mmdb(data));
