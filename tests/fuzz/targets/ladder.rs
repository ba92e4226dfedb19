//! Any bytes as a multivariant playlist, and as a manifest, of which caps leave something out.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardcast::live::fuzz::ladder(data));
