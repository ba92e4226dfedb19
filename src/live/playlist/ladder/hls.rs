//! What caps leave out of a multivariant playlist (RFC 8216bis, 4.4.6).

use std::collections::HashMap;
use std::ops::Range;

use super::{Below, Cut, kbps};
use crate::live::attribute::attribute;

/// Codings that are no picture, as `CODECS` begins.
const NO_PICTURES: [&str; 14] = [
    "mp4a", "ac-3", "ec-3", "ac-4", "opus", "Opus", "fLaC", "flac", "alac", "mp3", "dts", "stpp",
    "wvtt", "mhm1",
];

/// Attributes by which a variant names its groups.
const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

/// A variant: its line and that of its playlist.
struct Variant<'t> {
    bytes: Range<usize>,
    said: &'t str,
    uri: &'t str,
    kbps: u32,
    below: Below,
}

/// What is left out, in the order of the text.
pub(super) fn cuts(text: &str) -> Vec<Cut> {
    if !text.contains("#EXT-X-STREAM-INF:") {
        return Vec::new();
    }
    let mut variants = variants(text);
    let Some(lowest) = variants.iter().map(|variant| variant.kbps).min() else {
        return Vec::new();
    };
    for variant in &mut variants {
        let is_lowest = variant.kbps == lowest;
        variant.below = if is_lowest { Below::Never } else { Below::Kbps(variant.kbps) };
    }
    let kept = Kept::of(&variants);
    let mut cuts: Vec<_> = variants
        .iter()
        .map(|variant| Cut { bytes: variant.bytes.clone(), below: variant.below })
        .collect();
    for (bytes, line) in lines(text) {
        let below = if let Some(said) = line.strip_prefix("#EXT-X-I-FRAME-STREAM-INF:") {
            kept.of_key_frames(said)
        } else if let Some(said) = line.strip_prefix("#EXT-X-MEDIA:") {
            kept.of_group(said)
        } else {
            None
        };
        cuts.extend(below.map(|below| Cut { bytes, below }));
    }
    cuts.sort_by_key(|cut| cut.bytes.start);
    cuts
}

/// Playlists of pictures, and what each takes.
pub(super) fn pictures(text: &str) -> impl Iterator<Item = (&str, u32)> {
    variants(text).into_iter().map(|variant| (variant.uri, variant.kbps))
}

/// Lines with where they are, their ends included.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let bytes = at..at + line.len();
        at = bytes.end;
        (bytes, line.trim_end_matches(['\n', '\r']))
    })
}

/// Variants with pictures. One of which nobody can say is taken for one.
fn variants(text: &str) -> Vec<Variant<'_>> {
    let mut found = Vec::new();
    let mut begun: Option<(usize, &str)> = None;
    for (bytes, line) in lines(text) {
        if let Some(said) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            begun = Some((bytes.start, said));
        } else if !line.starts_with('#')
            && !line.trim().is_empty()
            && let Some((start, said)) = begun.take()
            && let Some(bits) = attribute(said, "BANDWIDTH").and_then(|bits| bits.parse().ok())
            && has_picture(said)
        {
            let (bytes, kbps, below) = (start..bytes.end, kbps(bits), Below::Never);
            found.push(Variant { bytes, said, uri: line, kbps, below });
        }
    }
    found
}

fn has_picture(said: &str) -> bool {
    let Some(codecs) = attribute(said, "CODECS") else { return true };
    let is_none = |coding: &str| NO_PICTURES.iter().any(|none| coding.trim().starts_with(none));
    attribute(said, "RESOLUTION").is_some() || !codecs.split(',').all(is_none)
}

/// For whom is kept what belongs to variants.
struct Kept<'t> {
    folders: HashMap<&'t str, Below>,
    resolutions: HashMap<String, Below>,
    groups: HashMap<(&'static str, String), Below>,
}

impl<'t> Kept<'t> {
    fn of(variants: &[Variant<'t>]) -> Self {
        let mut kept =
            Self { folders: HashMap::new(), resolutions: HashMap::new(), groups: HashMap::new() };
        for Variant { said, uri, below, .. } in variants {
            let or = |known: &mut Below| *known = known.or(*below);
            if let Some(folder) = folder(uri) {
                kept.folders.entry(folder).and_modify(or).or_insert(*below);
            }
            if let Some(resolution) = attribute(said, "RESOLUTION") {
                kept.resolutions.entry(resolution).and_modify(or).or_insert(*below);
            }
            for kind in GROUPS {
                if let Some(group) = attribute(said, kind) {
                    kept.groups.entry((kind, group)).and_modify(or).or_insert(*below);
                }
            }
        }
        kept
    }

    /// Pictures for fast winding belong to the variant in whose folder they are, or that is as
    /// large.
    fn of_key_frames(&self, said: &str) -> Option<Below> {
        let uri = attribute(said, "URI").unwrap_or_default();
        let of_folder = folder(&uri).and_then(|folder| self.folders.get(folder));
        let resolution = attribute(said, "RESOLUTION");
        let of_resolution = || resolution.and_then(|of| self.resolutions.get(&of));
        of_folder.or_else(of_resolution).copied()
    }

    /// A group goes with the last variant that names it.
    fn of_group(&self, said: &str) -> Option<Below> {
        let kind = attribute(said, "TYPE")?;
        let kind = GROUPS.into_iter().find(|known| *known == kind)?;
        self.groups.get(&(kind, attribute(said, "GROUP-ID")?)).copied()
    }
}

fn folder(uri: &str) -> Option<&str> {
    uri.rsplit_once('/').map(|(folder, _)| folder)
}
