//! A text with what it is for viewers who may not have every rendition: one payload, so that all of
//! it is told, replaced and let go at once.

use std::sync::Arc;

use ahash::AHashMap;

use crate::live::playlist::ladder::{Ladder, Places};
use crate::units::{ETag, Extent, Rung, Variant};

/// A text of a payload, for those whose cap is too low for the ones behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// For caps below so many kilobits a second that none before it is for.
    pub below_kbps: u32,
    /// Its bytes.
    pub identity: Variant,
    /// The gzipped bytes, where that pays.
    pub gzip: Option<Variant>,
}

/// Texts, one behind the other.
#[derive(Debug)]
pub struct Laid {
    /// All of them.
    pub bytes: Box<[u8]>,
    /// The whole text.
    pub identity: Variant,
    /// The same gzipped.
    pub gzip: Option<Variant>,
    /// The others.
    pub narrowed: Box<[Narrowed]>,
}

impl Laid {
    /// A text, and what there is beside it; each of them is given to `gzip`.
    pub fn of(
        text: &[u8],
        ladder: &Ladder,
        mut gzip: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let mut both = |text: &[u8]| {
            let identity = put(&mut bytes, text);
            (identity, gzip(text).map(|gzipped| put(&mut bytes, &gzipped)))
        };
        let (identity, whole_gzip) = both(text);
        let after = ladder.narrow.iter().skip(1).map(|narrow| narrow.from_kbps);
        let below = after.chain([ladder.whole_from_kbps]);
        let narrowed = ladder.narrow.iter().zip(below).map(|(narrow, below_kbps)| {
            let (identity, gzip) = both(narrow.text.as_bytes());
            Narrowed { below_kbps, identity, gzip }
        });
        let narrowed = narrowed.collect();
        Self { bytes: bytes.into(), identity, gzip: whole_gzip, narrowed }
    }
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) -> Variant {
    let extent = Extent { offset: bytes.len() as u64, size: text.len() as u64 };
    bytes.extend_from_slice(text);
    Variant { extent, etag: ETag::of(text) }
}

/// Which of a text's forms is for a cap: 0 = the whole one, else the one before that number.
#[must_use]
pub fn form_for(narrowed: &[Narrowed], cap_kbps: u32) -> u32 {
    let form = narrowed.iter().position(|narrowed| cap_kbps < narrowed.below_kbps);
    form.map_or(0, |at| u32::try_from(at + 1).expect("there are few"))
}

/// Where bytes beside a file begin, as extents have it: no file is so long.
const BESIDE_AT: u64 = 1 << 62;

/// What is known of an asset's renditions: what files take, and of a pack the texts for viewers who
/// may not have all of them.
#[derive(Debug, Default)]
pub struct Beside {
    /// Files and folders, as seen from the pack, or from the folder of the playlist.
    rungs: AHashMap<Box<str>, Rung>,
    /// Forms of a pack's objects, in the order of their numbers.
    forms: Vec<(u32, Narrowed)>,
    /// Their bytes.
    bytes: Vec<u8>,
}

impl Beside {
    /// What lies at these places takes that; none if nothing lies anywhere.
    #[must_use]
    pub fn of(places: Places) -> Option<Arc<Self>> {
        let mut beside = Self::default();
        beside.add_places("", places);
        beside.whole()
    }

    /// The same with what is known by now; none if that is nothing.
    #[must_use]
    pub fn whole(self) -> Option<Arc<Self>> {
        let is_empty = self.rungs.is_empty() && self.forms.is_empty();
        (!is_empty).then(|| Arc::new(self))
    }

    /// Adds places as seen from a folder, which ends with a slash if it has a name. A manifest and
    /// a playlist may both name one: whatever is within the cap of either may be had.
    pub fn add_places(&mut self, folder: &str, places: Places) {
        for (path, rung) in places {
            let known = self.rungs.entry(format!("{folder}{path}").into()).or_insert(rung);
            *known = known.or(rung);
        }
    }

    /// Adds the forms of an object, which come in the order of their numbers.
    pub fn add_forms(&mut self, object: u32, laid: &Laid) {
        let at = BESIDE_AT + self.bytes.len() as u64;
        let moved = |variant: Variant| Variant {
            extent: Extent { offset: at + variant.extent.offset, ..variant.extent },
            ..variant
        };
        let forms = laid.narrowed.iter().map(|narrowed| Narrowed {
            identity: moved(narrowed.identity),
            gzip: narrowed.gzip.map(moved),
            ..*narrowed
        });
        self.forms.extend(forms.map(|form| (object, form)));
        self.bytes.extend_from_slice(&laid.bytes);
    }

    /// What the file at a path takes.
    #[must_use]
    pub fn rung(&self, path: &str) -> Rung {
        if self.rungs.is_empty() {
            return Rung::default();
        }
        let folders = memchr::memchr_iter(b'/', path.as_bytes()).map(|end| &path[..end]);
        let found = std::iter::once(path).chain(folders).find_map(|place| self.rungs.get(place));
        found.copied().unwrap_or_default()
    }

    /// Which form of an object is for a cap, counted over all forms; none = the object itself.
    #[must_use]
    pub fn form_of(&self, object: u32, cap_kbps: u32) -> Option<u32> {
        let first = self.forms.partition_point(|(of, _)| *of < object);
        let forms = self.forms[first..].iter().take_while(|(of, _)| *of == object);
        let found = forms.zip(first..).find(|((_, form), _)| cap_kbps < form.below_kbps);
        found.and_then(|(_, at)| u32::try_from(at).ok())
    }

    /// A form, and of which object it is.
    #[must_use]
    pub fn form(&self, at: u32) -> Option<&(u32, Narrowed)> {
        self.forms.get(at as usize)
    }

    /// Bytes beside the file.
    #[must_use]
    pub fn bytes(&self, extent: Extent) -> Option<&[u8]> {
        let start = usize::try_from(extent.offset.checked_sub(BESIDE_AT)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(extent.size).ok()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::playlist::ladder::Narrow;

    fn laid() -> Laid {
        let narrow = [(0, "low"), (800, "middle")]
            .map(|(from_kbps, text)| Narrow { from_kbps, text: text.to_owned() });
        let ladder = Ladder { narrow: narrow.into(), whole_from_kbps: 3000 };
        Laid::of(b"whole", &ladder, |text| (text.len() > 3).then(|| [text, b"z"].concat()))
    }

    #[test]
    fn each_cap_has_its_form_and_each_form_its_bytes() {
        let Laid { bytes, identity, gzip, narrowed } = laid();
        let text = |variant: Variant| {
            let start = usize::try_from(variant.extent.offset).unwrap();
            let size = usize::try_from(variant.extent.size).unwrap();
            str::from_utf8(&bytes[start..start + size]).unwrap().to_owned()
        };
        assert_eq!((text(identity), gzip.map(text)), ("whole".into(), Some("wholez".into())));
        for (cap_kbps, expected) in
            [(0, 1), (799, 1), (800, 2), (2999, 2), (3000, 0), (u32::MAX, 0)]
        {
            assert_eq!(form_for(&narrowed, cap_kbps), expected, "{cap_kbps}");
        }
        let forms = narrowed.iter().map(|form| (text(form.identity), form.gzip.map(text)));
        let expected = [("low".into(), None), ("middle".into(), Some("middlez".into()))];
        assert_eq!(forms.collect::<Vec<_>>(), expected);
        let tags = [identity.etag, narrowed[0].identity.etag, narrowed[1].identity.etag];
        assert!(tags[0] != tags[1] && tags[1] != tags[2]);
    }

    #[test]
    fn beside_a_pack_lie_forms_of_its_objects_and_what_its_files_take() {
        let rung = |kbps| Rung { kbps, is_capped: true };
        let mut beside = Beside::default();
        assert!(Beside::of(Vec::new()).is_none());
        beside.add_forms(4, &laid());
        beside.add_forms(9, &laid());
        beside
            .add_places("a/", vec![("v720".to_owned(), rung(3128)), ("x.mp4".to_owned(), rung(5))]);
        // A manifest counts without the sound.
        beside.add_places("a/", vec![("v720".to_owned(), rung(3000))]);
        for (path, expected) in [
            ("a/v720", 3000),
            ("a/v720/1.m4s", 3000),
            ("a/v720/deep/1.m4s", 3000),
            ("a/v7200/1.m4s", 0),
            ("a/x.mp4", 5),
            ("v720/1.m4s", 0),
        ] {
            assert_eq!(beside.rung(path).kbps, expected, "{path}");
        }
        let form = |object, cap| {
            let at = beside.form_of(object, cap)?;
            let (of, form) = beside.form(at).expect("it was just found");
            assert_eq!(*of, object);
            Some(str::from_utf8(beside.bytes(form.identity.extent).unwrap()).unwrap())
        };
        for object in [4, 9] {
            assert_eq!(form(object, 0), Some("low"));
            assert_eq!(form(object, 2999), Some("middle"));
            assert_eq!(form(object, 3000), None);
        }
        assert_eq!((form(3, 0), form(5, 0), form(10, 0)), (None, None, None));
        assert_eq!(beside.bytes(Extent { offset: 0, size: 1 }), None, "that is the file's");
        assert_eq!(beside.bytes(Extent { offset: BESIDE_AT, size: 1000 }), None);
    }
}
