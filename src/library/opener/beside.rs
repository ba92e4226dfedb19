//! What is known of an asset's renditions when its playlists, or the pack with them, are opened.
//!
//! Of folders it is what a multivariant playlist or a manifest says; the texts for viewers who may
//! not have every rendition lie with that. Of packs those texts are made here, since its payload is
//! never read to be sent.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::ToOpen;
use crate::config::{PACK_TEXT_SIZE_MAX, PACK_TEXTS_MAX};
use crate::library::open::OpenPack;
use crate::live::playlist::ladder;
use crate::messages::{Beside, Index, Laid, Payload};
use crate::pack::compress::gzip_now;
use crate::sys::files;
use crate::units::Class;

/// Of a playlist or a manifest in a folder that is open; none if it names no renditions.
pub(super) fn of_folder(
    to_open: &ToOpen,
    name: &str,
    (index, payload): (&Index, &Payload),
) -> Option<Arc<Beside>> {
    let (Index::Single(single), Payload::Heap(bytes)) = (index, payload) else { return None };
    if single.narrowed.is_empty() {
        return None;
    }
    let size = usize::try_from(single.identity.extent.size).ok()?;
    let text = str::from_utf8(bytes.get(..size)?).ok()?;
    let folder = to_open.below.parent().unwrap_or(Path::new(""));
    let mut read = |path: &str| {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = files::open_beneath(&*to_open.root, &folder.join(path), flags).ok()?;
        let file = File::from(file);
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut text = String::new();
        file.take(PACK_TEXT_SIZE_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    };
    Beside::of(ladder::places(Class::of(name), text, &mut read))
}

/// Of a pack; none if nothing in it names several renditions.
pub(super) fn of_pack(pack: &OpenPack) -> Option<Arc<Beside>> {
    let is_text = |class: Class| matches!(class, Class::Playlist | Class::Manifest);
    let texts = (0..pack.index.count()).filter(|number| is_text(pack.index.facts(*number).class));
    let texts: Vec<_> = texts.take(PACK_TEXTS_MAX + 1).collect();
    if texts.len() > PACK_TEXTS_MAX {
        return None;
    }
    let text = |number: u32| {
        let extent = pack.index.facts(number).identity.extent;
        if extent.size > PACK_TEXT_SIZE_MAX {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(extent.size).ok()?];
        pack.file.read_exact_at(&mut bytes, extent.offset).ok()?;
        String::from_utf8(bytes).ok()
    };
    let mut beside = Beside::default();
    for number in texts {
        let Some(whole) = text(number) else { continue };
        let class = pack.index.facts(number).class;
        let ladder = ladder::narrowed(class, &whole);
        if ladder.narrow.is_empty() {
            continue;
        }
        // The whole text lies in the pack.
        let gzip = |text: &[u8]| if text.is_empty() { None } else { gzip_now(text) };
        beside.add_forms(number, &Laid::of(b"", &ladder, gzip));
        let path = pack.index.path(number);
        let folder = path.rfind('/').map_or("", |at| &path[..=at]);
        let mut read = |below: &str| text(pack.index.find(format!("{folder}{below}").as_bytes())?);
        let places = ladder::places(class, &whole, &mut read);
        beside.add_places(folder, places);
    }
    beside.whole()
}
