//! What a token is good for, as patterns that fit into ours: those that it says, within the base
//! path of its section.
//!
//! What can't be written down as a pattern is left out, so that a scope only gets narrower; what is
//! asked for now, if the token holds it, is always in it.

use super::Denied;
use crate::config::{TOKEN_BYTES_MAX, TOKEN_PATTERNS_MAX};
use crate::viewer::scope;

/// Bytes that a token of ours has besides its patterns: head, network, signature.
const OTHER_BYTES: usize = 18 + 2 + 17 + 16;

/// Bytes that a pattern takes beside its own.
const PATTERN_BYTES: usize = 2;

/// A path as a pattern of nothing else; none where it has what a pattern means otherwise.
pub(super) fn literal(path: &str) -> Option<&str> {
    (!path.contains(['*', '?'])).then_some(path)
}

/// The patterns of a token that says these, below `base`, for whoever asks for `path`.
///
/// # Errors
///
/// `OutOfScope`, if they don't hold that; `Unfit`, if nothing that does can be written down.
pub(super) fn fitted(said: &[String], base: &str, path: &str) -> Result<Vec<String>, Denied> {
    let holds = |pattern: &str| scope::matches(pattern.as_bytes(), path.as_bytes(), b"");
    if !path.starts_with(base) || !said.iter().any(|pattern| holds(pattern)) {
        return Err(Denied::OutOfScope);
    }
    let mut patterns: Vec<_> = said.iter().filter_map(|pattern| within(pattern, base)).collect();
    if patterns.iter().any(|pattern| matches!(&**pattern, "*" | "/*")) {
        return Ok(Vec::new());
    }
    // What is wanted now comes first.
    patterns.sort_by_key(|pattern| !holds(pattern));
    patterns.dedup();
    let mut room = TOKEN_BYTES_MAX - OTHER_BYTES;
    patterns.retain(|pattern| {
        let size = pattern.len() + PATTERN_BYTES;
        let fits = pattern.len() <= usize::from(u8::MAX) && size <= room;
        room -= if fits { size } else { 0 };
        fits
    });
    patterns.truncate(TOKEN_PATTERNS_MAX);
    if !patterns.first().is_some_and(|pattern| holds(pattern)) {
        let only = literal(path).filter(|path| path.len() <= usize::from(u8::MAX));
        patterns = vec![only.ok_or(Denied::Unfit)?.to_owned()];
    }
    Ok(patterns)
}

/// What a pattern and all paths that begin with `base` have in common; none where no pattern says
/// that.
fn within(pattern: &str, base: &str) -> Option<String> {
    let literal = &pattern[..pattern.find(['*', '?']).unwrap_or(pattern.len())];
    // Every path begins with `/`.
    if base == "/" || literal.starts_with(base) {
        return Some(pattern.to_owned());
    }
    let rest = &pattern[literal.len()..];
    let is_all = !rest.is_empty() && rest.bytes().all(|byte| byte == b'*');
    (is_all && base.starts_with(literal)).then(|| format!("{base}*"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(said: &[&str], base: &str, path: &str, expected: Result<&[&str], Denied>) {
        let said: Vec<_> = said.iter().map(|&pattern| pattern.to_owned()).collect();
        let found = fitted(&said, base, path);
        let expected = expected.map(|all| all.iter().map(|&one| one.to_owned()).collect());
        assert_eq!(found, expected, "{said:?} {base} {path}");
    }

    #[test]
    fn a_scope_is_what_is_said_below_the_base() {
        let path = "/vod/a/1.ts";
        check(&["/vod/a/*"], "/", path, Ok(&["/vod/a/*"]));
        check(&["/tv/*", "/vod/a/*"], "/", path, Ok(&["/vod/a/*", "/tv/*"]));
        check(&["/tv/*", "/vod/a/*"], "/vod/", path, Ok(&["/vod/a/*"]));
        check(&["/*"], "/vod/a/", path, Ok(&["/vod/a/*"]));
        check(&["/*"], "/", path, Ok(&[]));
        check(&["*"], "/", path, Ok(&[]));
        // No pattern says what both do: what is asked for now is left.
        check(&["*.ts"], "/vod/", path, Ok(&[path]));
        check(&["/vo?/a/*"], "/vod/", path, Ok(&[path]));
        check(&["/vod/b/*"], "/", path, Err(Denied::OutOfScope));
        check(&["/vod/a/*"], "/tv/", path, Err(Denied::OutOfScope));
        check(&[], "/", path, Err(Denied::OutOfScope));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = format!("/vod/{}*", "x".repeat(250));
        check(&[&long, "/vod/a/*"], "/", "/vod/a/1.ts", Ok(&["/vod/a/*"]));
        let path = format!("/vod/{}/1.ts", "x".repeat(250));
        check(&[&long], "/", &path, Err(Denied::Unfit));
        check(&[&long], "/", &path[..255], Ok(&[&path[..255]]));
        let many: Vec<_> = (0..40).map(|at| format!("/vod/{at}/*")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let kept = [&["/vod/39/*"], &many[..15]].concat();
        check(&many, "/", "/vod/39/1.ts", Ok(&kept));
    }

    #[test]
    fn a_path_that_looks_like_a_pattern_is_not_made_one() {
        assert_eq!(
            (literal("/vod/a*"), literal("/vod/?"), literal("/a")),
            (None, None, Some("/a"))
        );
        check(&["*.ts"], "/vod/", "/vod/a*/1.ts", Err(Denied::Unfit));
    }

    proptest! {
        #[test]
        fn a_scope_holds_nothing_that_was_not_said(
            said in proptest::collection::vec("[/ab*?]{0,6}", 0..4),
            base in "(/|/a/|/b/a/)", path in "/[/ab]{0,6}", other in "/[/ab]{0,6}",
        ) {
            let holds = |all: &[String], path: &str| {
                all.iter().any(|one| scope::matches(one.as_bytes(), path.as_bytes(), b""))
            };
            if let Ok(fitted) = fitted(&said, &base, &path) {
                prop_assert!(fitted.is_empty() || holds(&fitted, &path));
                if fitted.is_empty() || holds(&fitted, &other) {
                    prop_assert!(holds(&said, &other) && other.starts_with(&base), "{fitted:?}");
                }
            }
        }
    }
}
