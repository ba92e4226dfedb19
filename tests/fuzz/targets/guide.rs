//! Any bytes as a guide of somebody else, and as a block of the store.
#![no_main]

use shardcast::middleware::guide::programme::unpacked;
use shardcast::middleware::guide::xmltv::{Guide, Item};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = unpacked(data);
    let Ok(mut guide) = Guide::new(data, 60) else { return };
    while let Ok(Some(item)) = guide.next_item() {
        if let Item::Programme { programme, .. } = item {
            assert!(!programme.title.is_empty() && programme.start.0 > 0);
            assert!(programme.stop.0 == 0 || programme.stop > programme.start);
        }
    }
});
