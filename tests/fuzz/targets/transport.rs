//! Any bytes as a transport stream: one reading however they are cut, in whole packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::live::fuzz::transport(data));
