//! Any bytes as the journal of an archive hour: what is believed can be gone on with.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::pack::fuzz::journal(data));
