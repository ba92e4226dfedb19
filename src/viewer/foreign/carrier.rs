//! Where tokens of others are carried: the head of a request in, the token out; and the query
//! without it.

use crate::config::foreign::{Carriers, Kind, Section};

/// What all sections look at, for a shard that has no other interest in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    sections: Vec<(Kind, String, Carriers)>,
}

impl Watched {
    /// By these sections.
    #[must_use]
    pub fn of(sections: &[Section]) -> Self {
        let of = |one: &Section| (one.kind, one.path.clone(), one.carried.clone());
        Self { sections: sections.iter().map(of).collect() }
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Whether a request carries what may be a token of others. Where it stands in the path it must
    /// stand there without escapes.
    pub fn sees<'h>(
        &self,
        path: &str,
        query: &'h str,
        lines: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
    ) -> bool {
        self.sections.iter().any(|(kind, base, carried)| match kind {
            Kind::SecureLinkSecret => in_path(base, path).is_some(),
            _ => found(carried, query, lines.clone()).is_some(),
        })
    }
}

/// The token that a request carries in one of these places.
pub fn found<'h>(
    carried: &Carriers,
    query: &'h str,
    lines: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
) -> Option<&'h str> {
    let in_query = || carried.query.iter().find_map(|name| argument(query, name));
    let in_cookie = || {
        let name = carried.cookie.as_ref()?;
        let cookies = lines.clone().filter(|(line, _)| line.eq_ignore_ascii_case("cookie"));
        let pairs = cookies.filter_map(|(_, value)| str::from_utf8(value).ok());
        let mut pairs = pairs.flat_map(|value| value.split(';'));
        pairs.find_map(|pair| {
            let (found, value) = pair.split_once('=')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        })
    };
    let in_header = || {
        let name = carried.header.as_ref()?;
        let (_, value) = lines.clone().find(|(line, _)| line.eq_ignore_ascii_case(name))?;
        let value = str::from_utf8(value).ok()?.trim();
        if !name.eq_ignore_ascii_case("authorization") {
            return Some(value);
        }
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let found = in_query().or_else(in_cookie).or_else(in_header);
    found.filter(|token| !token.is_empty())
}

/// The hash and the rest of a path like `/vod/{32 digits}/films/a.ts`, where `base` is `/vod/`.
pub fn in_path<'p>(base: &str, path: &'p str) -> Option<(&'p str, &'p str)> {
    let (hash, link) = path.strip_prefix(base)?.split_once('/')?;
    let is_hash = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && !link.is_empty()).then_some((hash, link))
}

/// The value of a parameter, as it is written; the first, as nginx has it, whatever the case of its
/// name.
pub(super) fn argument<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// A query without a section's own parameters.
#[must_use]
pub fn stripped(section: &Section, query: &str) -> String {
    let is_own = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        let mut own = section.carried.query.iter().chain(&section.expires);
        own.any(|own| own.eq_ignore_ascii_case(name))
    };
    let rest: Vec<_> = query.split('&').filter(|pair| !is_own(pair)).collect();
    rest.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carriers() -> Carriers {
        Carriers {
            query: vec!["tok".to_owned(), "t2".to_owned()],
            cookie: Some("Tok".to_owned()),
            header: Some("Authorization".to_owned()),
        }
    }

    #[test]
    fn a_token_is_found_in_query_cookie_and_header_in_this_order() {
        let bearer = ("authorization", &b"bearer  h"[..]);
        let cookies = ("Cookie", &b"a=b; tok=\"c\"; x"[..]);
        for (query, lines, expected) in [
            ("tok=q&a=b", &[cookies, bearer][..], Some("q")),
            ("a=b&T2=q", &[cookies], Some("q")),
            ("a=tok=q", &[bearer, cookies], Some("c")),
            ("tok", &[bearer], Some("h")),
            ("tok=", &[], None),
            ("xtok=q", &[("Authorization", b"Basic h")], None),
            ("", &[("Authorization", b"Bearer")], None),
            ("", &[("Cookie", b"\xfftok=c")], None),
        ] {
            let found = found(&carriers(), query, lines.iter().copied());
            assert_eq!(found, expected, "{query} {lines:?}");
        }
    }

    #[test]
    fn a_hash_in_the_path_is_exactly_one() {
        let hash = "0123456789abcdef0123456789ABCDEF";
        assert_eq!(in_path("/vod/", &format!("/vod/{hash}/a/1.ts")), Some((hash, "a/1.ts")));
        for path in [
            format!("/vod/{hash}0/a"),
            format!("/vod/{}/a", &hash[1..]),
            format!("/vod/{}g/a", &hash[1..]),
            format!("/vod/{hash}/"),
            format!("/vod/{hash}"),
            format!("/tv/{hash}/a"),
        ] {
            assert_eq!(in_path("/vod/", &path), None, "{path}");
        }
    }
}
