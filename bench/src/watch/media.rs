//! What is behind the URIs: bytes that never change, and parts that make up their segment. Pure.

use std::collections::{BTreeMap, HashMap};

use super::findings::Findings;
use crate::feed::track::Hash;
use crate::load::fetch::Fetched;

/// Objects that are remembered, and segments whose parts are added up.
const OBJECTS_MAX: usize = 100_000;
const SEGMENTS_MAX: usize = 64;

/// What is known of all objects of a channel, by their path within it.
#[derive(Debug, Default)]
pub struct Objects {
    known: HashMap<String, Object>,
    /// Segments as their parts make them up, by folder and number.
    made: BTreeMap<(String, u64), Made>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    size: usize,
    hash: u64,
    tag: Option<String>,
}

#[derive(Clone, Debug)]
struct Made {
    hash: Hash,
    size: usize,
    /// The part that comes next.
    next: u64,
}

impl Objects {
    /// Whether it has been fetched.
    pub fn has(&self, path: &str) -> bool {
        self.known.contains_key(path)
    }

    /// An object has been fetched, again or for the first time.
    pub fn take(&mut self, path: &str, fetched: &Fetched, place: &str, findings: &mut Findings) {
        let tag = fetched.header("etag").map(str::to_owned);
        let now = Object { size: fetched.body.len(), hash: hash(&fetched.body), tag };
        if self.known.len() > OBJECTS_MAX {
            self.known.clear();
        }
        let known = self.known.entry(path.to_owned()).or_insert_with(|| now.clone());
        // What is sent while it grows has no tag yet.
        let is_tagged = known.tag == now.tag || known.tag.is_none() || now.tag.is_none();
        let is_same = (known.size, known.hash) == (now.size, now.hash) && is_tagged;
        findings.check(is_same, "published bytes changed", place, || {
            format!("{path} was {known:?}, and is {now:?}")
        });
    }

    /// Two paths lead to the same thing, if both have been fetched.
    pub fn are_same(&self, one: &str, other: &str, place: &str, findings: &mut Findings) {
        let (Some(one_is), Some(other_is)) = (self.known.get(one), self.known.get(other)) else {
            return;
        };
        let is_same = (one_is.size, one_is.hash) == (other_is.size, other_is.hash);
        findings.check(is_same, "editions differ", place, || {
            format!("{one} is {one_is:?}, and {other} is {other_is:?}")
        });
    }

    /// A part's bytes have come, in the order of parts.
    pub fn take_part(&mut self, folder: &str, (number, part): (u64, u64), body: &[u8]) {
        let key = (folder.to_owned(), number);
        let made = self.made.entry(key).or_insert(Made { hash: Hash::new(), size: 0, next: 0 });
        if made.next == part {
            made.hash.add(body);
            made.size += body.len();
            made.next += 1;
        }
        while self.made.len() > SEGMENTS_MAX {
            self.made.pop_first();
        }
    }

    /// A segment of so many parts has come, all of it.
    pub fn take_segment(
        &mut self,
        folder: &str,
        (number, parts): (u64, u64),
        body: &[u8],
        place: &str,
        findings: &mut Findings,
    ) {
        let Some(made) = self.made.remove(&(folder.to_owned(), number)) else { return };
        if parts == 0 || made.next != parts {
            return;
        }
        let is_same = (made.size, made.hash.value()) == (body.len(), hash(body));
        findings.check(is_same, "segment is not its parts", place, || {
            format!("{folder}/{number} has {} bytes, its parts {}", body.len(), made.size)
        });
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hash = Hash::new();
    hash.add(bytes);
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(body: &[u8], tag: &str) -> Fetched {
        let headers = vec![("etag".to_owned(), tag.to_owned())];
        Fetched { status: 200, headers, body: body.to_vec() }
    }

    #[test]
    fn bytes_and_tags_stay() {
        let (mut objects, mut findings) = (Objects::default(), Findings::default());
        for (body, tag, count) in
            [(b"abc", "t", 0), (b"abc", "t", 0), (b"abd", "t", 1), (b"abc", "u", 2)]
        {
            objects.take("v/7.m4s", &fetched(body, tag), "p", &mut findings);
            assert_eq!(findings.count(), count, "{findings:?}");
        }
    }

    #[test]
    fn a_segment_is_its_parts() {
        let (mut objects, mut findings) = (Objects::default(), Findings::default());
        for (whole, count) in [(b"abcd", 0), (b"abce", 1)] {
            objects.take_part("v", (7, 0), b"ab");
            objects.take_part("v", (7, 1), b"cd");
            objects.take_segment("v", (7, 2), whole, "p", &mut findings);
            assert_eq!(findings.count(), count, "{findings:?}");
        }
    }
}
