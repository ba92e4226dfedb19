//! Tokens that were read a moment ago: players send the same one with each request, and to compare
//! it costs a tenth of what it takes to verify it.
//!
//! A table with a place for each token, which the next one with the same place takes over. Who
//! sends garbage learns nothing from it: the place and the first comparison are by a hash whose key
//! nobody knows, and the texts are then compared in the same time wherever they differ.

use std::fmt;
use std::hint::black_box;
use std::num::NonZeroU32;

use super::Claims;
use crate::config::RECENT_TOKENS;

/// Longest text that is kept: one without patterns.
const TEXT_SIZE_MAX: usize = 64;

#[derive(Clone, Copy)]
struct Kept {
    hash: u64,
    text: [u8; TEXT_SIZE_MAX],
    claims: Claims,
    /// The mark of the key that signed it.
    key: u32,
}

/// Tokens of one shard without patterns, which were ours when they were read.
#[derive(Default)]
pub struct Recent {
    hasher: ahash::RandomState,
    /// Empty until the first token comes.
    places: Box<[Option<Kept>]>,
    /// Whose token was refused last, until somebody asks.
    refused: Option<NonZeroU32>,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}

impl Recent {
    /// What a token says, and the mark of the key that signed it, if it was read a moment ago.
    /// Whether it is good now is another question.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(Claims, u32)> {
        let (hash, padded) = self.key(text)?;
        let kept = self.places.get(hash as usize % RECENT_TOKENS)?.as_ref()?;
        (kept.hash == hash && is_same(&kept.text, &padded)).then_some((kept.claims, kept.key))
    }

    /// Keeps what a token says that was verified, and has no patterns.
    pub fn keep(&mut self, text: &str, claims: Claims, key: u32) {
        let Some((hash, text)) = self.key(text) else { return };
        if self.places.is_empty() {
            self.places = vec![None; RECENT_TOKENS].into();
        }
        self.places[hash as usize % RECENT_TOKENS] = Some(Kept { hash, text, claims, key });
    }

    /// A token of this subscriber, which is ours, was refused.
    pub fn refuse(&mut self, subscriber: Option<NonZeroU32>) {
        self.refused = subscriber;
    }

    /// Whose token was refused since this was asked last.
    pub fn take_refused(&mut self) -> Option<NonZeroU32> {
        self.refused.take()
    }

    /// Forgets all of them: the keys are others now.
    pub fn clear(&mut self) {
        self.places.fill(None);
    }

    /// The hash of a text, and the text itself; no two texts are the same behind zeros, since no
    /// token has one.
    fn key(&self, text: &str) -> Option<(u64, [u8; TEXT_SIZE_MAX])> {
        let mut padded = [0; TEXT_SIZE_MAX];
        padded.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some((self.hasher.hash_one(padded), padded))
    }
}

/// Whether two texts are the same, in one time whatever they are: words at once, since byte by byte
/// it costs as much as the rest of a look-up.
fn is_same(one: &[u8; TEXT_SIZE_MAX], other: &[u8; TEXT_SIZE_MAX]) -> bool {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let differ = words.fold(0, |differ, (one, other)| {
        differ | (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other))
    });
    // Only all of it together decides.
    black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnixTime;

    fn claims(session: u64) -> Claims {
        let (bitrate_max, network) = (None, None);
        Claims { subscriber: None, session, expires: UnixTime(1), bitrate_max, network }
    }

    #[test]
    fn a_token_is_found_until_another_takes_its_place() {
        let mut recent = Recent::default();
        assert_eq!(recent.find("a"), None);
        let count = RECENT_TOKENS as u64 * 4;
        for session in 0..count {
            recent.keep(&format!("token-{session}"), claims(session), 7);
            assert_eq!(recent.find(&format!("token-{session}")), Some((claims(session), 7)));
        }
        let found = (0..count).filter(|session| recent.find(&format!("token-{session}")).is_some());
        let found = found.count();
        assert!((RECENT_TOKENS / 2..=RECENT_TOKENS).contains(&found), "{found}");
        recent.clear();
        assert!((0..count).all(|session| recent.find(&format!("token-{session}")).is_none()));
    }

    #[test]
    fn texts_are_the_same_if_each_byte_is() {
        let text = [b'a'; TEXT_SIZE_MAX];
        assert!(is_same(&text, &text));
        for at in 0..TEXT_SIZE_MAX {
            let mut other = text;
            other[at] ^= 0x80;
            assert!(!is_same(&text, &other), "{at}");
        }
    }

    #[test]
    fn another_text_is_another_token() {
        let mut recent = Recent::default();
        recent.keep("abc", claims(1), 7);
        for other in ["ab", "abcd", "abd", "", "Abc"] {
            assert_eq!(recent.find(other), None, "{other}");
        }
        let long = "x".repeat(TEXT_SIZE_MAX + 1);
        recent.keep(&long, claims(2), 7);
        assert_eq!(recent.find(&long), None, "it has patterns, and is read each time");
        recent.keep(&long[1..], claims(3), 7);
        assert_eq!(recent.find(&long[1..]), Some((claims(3), 7)));
    }
}
