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
    #[must_use]
    pub fn allows(&self, access: Access) -> bool {
        access == Access::Open || !self.anonymous
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Target<'_> = Target::Vod { path: "a/1.m4s", token: None };

    #[test]
    fn who_has_no_token_may_have_what_is_open_and_nothing_else() {
        let grant = grant(&NOBODY).unwrap();
        assert!(grant.allows(Access::Open));
        assert!(!grant.allows(Access::Token));
    }

    #[test]
    fn no_token_is_known_yet() {
        let token = Some("letmein");
        for target in [
            Target::Vod { path: "a/1.m4s", token },
            Target::Vod { path: "nowhere", token },
            Target::Live { path: "/tv/news/1.m4s", query: b"", token },
        ] {
            assert_eq!(grant(&target).unwrap_err(), Refusal::TokenUnknown);
        }
    }
}
