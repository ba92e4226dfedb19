//! An operation's name, which comes back with its completions (`user_data`): its kind in bits 60 to
//! 63, its owner in 32 to 59, its slot in 0 to 31.

use crate::shard::kernel::Owner;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Clients of a listener.
    Accept,
    /// Bytes of a client.
    Receive,
    /// Until a client says something.
    PollIn,
    /// Until a socket has room.
    PollOut,
    /// Bytes from memory of ours.
    Send,
    /// Bytes from a mapping.
    ZeroCopy,
    /// A cold chunk.
    Read,
    /// The inbox's eventfd.
    Bell,
    /// The end of another operation.
    Cancel,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Accept,
        Self::Receive,
        Self::PollIn,
        Self::PollOut,
        Self::Send,
        Self::ZeroCopy,
        Self::Read,
        Self::Bell,
        Self::Cancel,
    ];
}

/// The name of an operation.
#[must_use]
pub fn name(kind: Kind, owner: Owner, slot: u32) -> u64 {
    (kind as u64) << 60 | u64::from(owner) << 32 | u64::from(slot)
}

/// What a name was made of.
#[must_use]
pub fn parts(name: u64) -> (Kind, Owner, u32) {
    (Kind::ALL[(name >> 60) as usize], (name >> 32) as u32 & 0x0fff_ffff, name as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::kernel::OWNERS_MAX;

    #[test]
    fn a_name_says_what_it_was_made_of() {
        for kind in Kind::ALL {
            for (owner, slot) in [(0, 0), (1, u32::MAX), (OWNERS_MAX - 1, 7)] {
                assert_eq!(parts(name(kind, owner, slot)), (kind, owner, slot));
            }
        }
    }
}
