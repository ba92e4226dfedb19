//! What this kernel lets us do with io_uring: tried out, never guessed from a version.

use std::io;

use io_uring::IoUring;

/// Creates a ring as the shards do, and lets it go again.
pub fn ring() -> io::Result<()> {
    IoUring::<io_uring::squeue::Entry>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map(drop)
}
