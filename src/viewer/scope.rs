//! What a token is good for: patterns of paths, of which one must match.
//!
//! A pattern stands for a whole path, as it is behind the token and decoded: `/tv/news/*` is all of
//! a channel. `*` is any run of bytes, slashes included, and `?` is any one byte, as in the tokens
//! of CDNs that are exchanged for ours. A scope only narrows: what the subscriber's plan does not
//! hold is not there, whatever the scope says.

use super::token::{FIELD_RULE, Fields};

/// Patterns as they stand in a token. Without any, all that the plan holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'t> {
    fields: &'t [u8],
}

impl<'t> Scope<'t> {
    /// All that the plan holds.
    pub const WHOLE: Scope<'static> = Scope { fields: &[] };

    /// The scope among these fields of a token.
    pub(super) fn of(fields: &'t [u8]) -> Self {
        Self { fields }
    }

    /// Whether it is all that the plan holds.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.rules().next().is_none()
    }

    /// Its patterns.
    pub fn rules(self) -> impl Iterator<Item = &'t [u8]> {
        let rules = Fields(self.fields).filter(|field| field.kind == FIELD_RULE);
        rules.map(|field| field.value)
    }

    /// Whether a path lies in it. The path comes in two pieces, as a target has it.
    #[must_use]
    pub fn holds(self, first: &str, rest: &str) -> bool {
        let mut rules = self.rules().peekable();
        rules.peek().is_none() || rules.any(|rule| matches(rule, first.as_bytes(), rest.as_bytes()))
    }
}

/// Whether a pattern matches the whole of `first` and `rest` together.
///
/// Only the last `*` is ever gone back to, so it takes at most pattern times path steps.
pub(super) fn matches(rule: &[u8], first: &[u8], rest: &[u8]) -> bool {
    let size = first.len() + rest.len();
    let byte = |at: usize| if at < first.len() { first[at] } else { rest[at - first.len()] };
    let (mut at, mut place) = (0, 0);
    // Where the pattern goes on behind the last `*`, and where in the path it was tried last.
    let mut star: Option<(usize, usize)> = None;
    while at < size {
        match rule.get(place) {
            Some(b'*') => {
                place += 1;
                star = Some((place, at));
            }
            Some(&wanted) if wanted == b'?' || wanted == byte(at) => {
                place += 1;
                at += 1;
            }
            _ => {
                let Some((behind, tried)) = star else { return false };
                (place, at) = (behind, tried + 1);
                star = Some((behind, at));
            }
        }
    }
    rule[place..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, as one would say it.
    fn naive(rule: &[u8], path: &[u8]) -> bool {
        match (rule, path) {
            ([], path) => path.is_empty(),
            ([b'*', rule @ ..], []) => naive(rule, path),
            ([b'*', after @ ..], [_, rest @ ..]) => naive(after, path) || naive(rule, rest),
            ([wanted, rule @ ..], [byte, rest @ ..]) => {
                (*wanted == b'?' || wanted == byte) && naive(rule, rest)
            }
            (_, []) => false,
        }
    }

    #[test]
    fn a_pattern_stands_for_a_whole_path() {
        for (rule, path, expected) in [
            ("/tv/news/*", "/tv/news/video/1.m4s", true),
            ("/tv/news/*", "/tv/news", false),
            ("/tv/news/*", "/tv/newsroom/video/1.m4s", false),
            ("/tv/news/*", "/s/tv/news/1.m4s", false),
            ("/tv/news/master.m3u8", "/tv/news/master.m3u8", true),
            ("/tv/news/master.m3u8", "/tv/news/master.m3u8x", false),
            ("/tv/?/*", "/tv/a/1", true),
            ("/tv/?/*", "/tv/ab/1", false),
            ("*", "/vod/a/1.m4s", true),
            ("", "/vod/a/1.m4s", false),
        ] {
            for cut in 0..=path.len() {
                let (first, rest) = path.split_at(cut);
                let found = matches(rule.as_bytes(), first.as_bytes(), rest.as_bytes());
                assert_eq!(found, expected, "{rule} {first}|{rest}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_plain_one_does(
            rule in "[ab*?]{0,8}", path in "[ab]{0,10}", cut in 0_usize..11,
        ) {
            let (first, rest) = path.split_at(cut.min(path.len()));
            let found = matches(rule.as_bytes(), first.as_bytes(), rest.as_bytes());
            prop_assert_eq!(found, naive(rule.as_bytes(), path.as_bytes()));
        }
    }
}
