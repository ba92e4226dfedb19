//! What a shard's ring may do, and nothing else.
//!
//! Contract: no pointer is passed on.

use std::io;

use io_uring::register::Restriction;
use io_uring::{opcode, squeue};

/// Leaves the ring only what `sys::ring` uses: system-call filters do not see what goes through a
/// ring, so whoever gets to queue operations of his own shall find nothing that opens or connects.
/// No registration is allowed any more. The ring, made disabled, begins to work.
pub fn restrict(submitter: &io_uring::Submitter<'_>) -> io::Result<()> {
    /// Chosen by RECV itself, not part of the crate's flags (`IOSQE_BUFFER_SELECT`).
    const BUFFER_SELECT: u8 = 1 << 5;
    let codes = [
        opcode::AcceptMulti::CODE,
        opcode::RecvMulti::CODE,
        opcode::PollAdd::CODE,
        opcode::Send::CODE,
        opcode::SendMsg::CODE,
        opcode::SendZc::CODE,
        opcode::Read::CODE,
        opcode::AsyncCancel::CODE,
    ];
    let flags = squeue::Flags::ASYNC.bits() | BUFFER_SELECT;
    let mut allowed: Vec<Restriction> = codes.into_iter().map(Restriction::sqe_op).collect();
    allowed.push(Restriction::sqe_flags_allowed(flags));
    submitter.register_restrictions(&mut allowed)?;
    submitter.register_enable_rings()
}
