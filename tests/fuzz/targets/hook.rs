//! Any bytes as what an operator's back end answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::control::fuzz::hook(data));
