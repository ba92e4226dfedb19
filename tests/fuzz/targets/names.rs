//! Any file name has a class and a media type, whatever its bytes.
//!
//! The smallest target: it also shows that the fuzzing build itself works.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcast::units::{Class, media_type};

fuzz_target!(|name: &str| {
    let class = Class::of(name);
    assert!(Class::ALL.contains(&class));
    assert!(media_type(name).contains('/'), "a media type has a type and a subtype");
});
