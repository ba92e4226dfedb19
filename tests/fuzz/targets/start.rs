//! Any bytes as an address by which an app starts something, and as the playlist that it gets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::request::fuzz::start(data));
