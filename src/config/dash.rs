//! Limits of the manifests of DASH, and of what turns an older one into a newer one.

use super::ASK_DEADLINE_MS;
use crate::units::KIB;

/// Manifests of a channel and edition that patches begin with. Each rendition makes two in the
/// length of a segment, and players come once in that time, so this is enough for six renditions.
/// Who comes with an older one gets a patch that fits nothing, and loads the manifest again.
pub const MPD_PATCHES_MAX: usize = 24;

/// The same in bytes: a manifest of three renditions has 4 KiB, one of hours and odd lengths more
/// than all of this, and then nothing older is kept.
pub const MPD_PATCHES_SIZE_MAX: usize = 256 * KIB;

/// How long a manifest is worth a patch, in seconds: `PatchLocation@ttl`. Players that were paused
/// for longer load the manifest, without asking for what is gone.
pub const MPD_PATCH_SECONDS: u64 = 60;

/// How long a request for changes waits for one, in milliseconds. There is one a segment, and
/// players give up after 10 s; beyond it they are told to load the manifest.
pub const MPD_PATCH_HOLD_MS: u64 = 6_000;
const _: () = assert!(MPD_PATCH_HOLD_MS < ASK_DEADLINE_MS, "a shard would have given up");
