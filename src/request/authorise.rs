//! Who may have what. Until tokens exist there are two kinds of viewers: those with none, and
//! those whose token we do not know.

use super::refusal::Refusal;
use super::route::Target;
use crate::config::Access;

/// Proof that this viewer was looked at.
///
/// Only `grant` makes one, and `locate` will not work without it.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// Viewers without a token get what is open to all, and nothing else.
    anonymous: bool,
}

impl Grant {
    /// Whether the viewer may have an object of this access.
    ///
    /// # Errors
    ///
    /// `TokenMissing` if it takes a token.
    pub fn allows(&self, access: Access) -> Result<(), Refusal> {
        match access {
            Access::Token if self.anonymous => Err(Refusal::TokenMissing),
            Access::Open | Access::Token => Ok(()),
        }
    }
}

/// What the viewer of this target may have.
///
/// # Errors
///
/// `TokenUnknown` for any token: none can be minted yet.
pub fn grant(target: &Target<'_>) -> Result<Grant, Refusal> {
    match target {
        Target::Vod { token: Some(_), .. } | Target::Live { token: Some(_), .. } => {
            Err(Refusal::TokenUnknown)
        }
        _ => Ok(Grant { anonymous: true }),
    }
}
