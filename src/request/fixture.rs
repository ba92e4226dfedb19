//! A small catalog for tests: a pack with a playlist, and files of a folder, all in heap memory.

use std::sync::{Arc, LazyLock};

use super::authorise::{self, Grant};
use super::parse;
use super::plan::{self, Plan};
use super::route::Target;
use super::{Step, View, steps};
use crate::catalog::{Capacity, Catalog};
use crate::config::{Access, TARGET_SIZE_MAX};
use crate::guard::Bans;
use crate::live::slate::Shown;
use crate::messages::{
    Change, GrowingId, Growth, Index, Listing, Opened, Payload, Single, SourceId, SourceKind,
};
use crate::pack::header::{self, Kind};
use crate::pack::index::PackIndex;
use crate::pack::writer::{Layout, Object, Written};
use crate::units::{Class, ETag, Extent, Now, UnixTime, Variant, media_type};
use crate::viewer::foreign::carrier::Watched;
use crate::viewer::{Apps, Claims, Key, Keys, Known, Recent, Rights, token};

/// Sun, 06 Nov 1994 08:49:37 GMT.
pub(crate) const MODIFIED: UnixTime = UnixTime(784_111_777);

/// What a variant of these bytes at this offset is.
pub(crate) fn variant(offset: u64, bytes: &[u8]) -> Variant {
    Variant { extent: Extent { offset, size: bytes.len() as u64 }, etag: ETag::of(bytes) }
}

/// A file for a pack: its path, its bytes, and its gzipped bytes.
pub(crate) type Packed<'f> = (&'f str, &'f [u8], Option<&'f [u8]>);

/// An open pack with these files.
pub(crate) fn pack(source: SourceId, files: &[Packed<'_>]) -> Arc<Opened> {
    let mut layout = Layout::new(Kind::Asset);
    let mut bytes = header::header(Kind::Asset).to_vec();
    for (path, identity, gzip) in files {
        let mut written = |content: &[u8]| {
            let offset = layout.next_offset();
            bytes.resize(usize::try_from(offset).expect("small"), 0);
            bytes.extend_from_slice(content);
            layout.advance(offset + content.len() as u64);
            Written { variant: variant(offset, content), crc: crc32fast::hash(content) }
        };
        let object = Object {
            path: (*path).to_owned(),
            media_type: media_type(path).to_owned(),
            modified: MODIFIED.0,
            modified_nanos: 0,
            identity: written(identity),
            gzip: gzip.map(&mut written),
        };
        layout.add(object).expect("a good path");
    }
    bytes.resize(usize::try_from(layout.next_offset()).expect("small"), 0);
    bytes.extend_from_slice(&layout.finish().expect("a good pack"));
    let index = PackIndex::of_bytes(&bytes).expect("just written");
    Arc::new(Opened {
        source,
        index: Index::Pack(index),
        payload: Payload::Heap(bytes.into()),
        beside: None,
    })
}

/// An open file of a folder.
pub(crate) fn file(source: SourceId, path: &str, bytes: &[u8]) -> Arc<Opened> {
    let single = Single {
        media_type: media_type(path),
        class: Class::of(path),
        modified: MODIFIED,
        identity: variant(0, bytes),
        gzip: None,
        narrowed: Box::default(),
        rung: Default::default(),
    };
    let payload = Payload::Heap(bytes.into());
    Arc::new(Opened { source, index: Index::Single(single), payload, beside: None })
}

/// The listing of something that is open already.
pub(crate) fn present(path: &str, kind: SourceKind, opened: &Arc<Opened>) -> Listing {
    let change = Change::Present {
        source: opened.source,
        kind,
        access: Access::Open,
        opened: Some(Arc::clone(opened)),
    };
    Listing { path: path.into(), change }
}

/// What a viewer without a token may have.
pub(crate) fn anonymous() -> Grant {
    let catalog = Catalog::new(Capacity { sources: 0, heap_bytes: 0 });
    let target = Target::Vod { path: "", token: None };
    authorise::grant(&target, None, &view(&catalog), &mut Recent::default())
        .expect("there is no token to refuse")
}

/// The segment of `catalog`: 1,000 bytes.
pub(crate) fn segment() -> Vec<u8> {
    (0..1000_u16).map(|index| (index % 251) as u8).collect()
}

/// The playlist of `catalog`, and its gzipped form (which nobody unpacks here).
pub(crate) const PLAYLIST: &[u8] = b"#EXTM3U\n";
pub(crate) const GZIPPED: &[u8] = b"gzip";

/// `/vod/a/` is a pack with `master.m3u8`, `1.m4s`, `empty.m4s`; `/vod/b/` a folder with
/// `live.m3u8` and `1.ts`; `/tv/news/1.m4s` grows.
pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog::new(Capacity { sources: 100, heap_bytes: 1 << 20 });
    let segment = segment();
    let files: [Packed<'_>; 3] = [
        ("1.m4s", &segment, None),
        ("empty.m4s", b"", None),
        ("master.m3u8", PLAYLIST, Some(GZIPPED)),
    ];
    let listings = [
        present("a", SourceKind::Pack, &pack(SourceId(1), &files)),
        present("b/live.m3u8", SourceKind::File, &file(SourceId(2), "live.m3u8", PLAYLIST)),
        present("b/1.ts", SourceKind::File, &file(SourceId(3), "1.ts", &segment)),
    ];
    let mut effects = Vec::new();
    catalog.list(&listings, &mut effects);
    let path = "/tv/news/1.m4s".into();
    let (media_type, class, access) = ("video/iso.segment", Class::Segment, Access::Open);
    let begun = Growth::Begun { path, media_type, class, access };
    catalog.grow(GrowingId(1), &begun, &mut effects);
    catalog
}

static FOREIGN: LazyLock<Watched> = LazyLock::new(Watched::default);
static APPS: LazyLock<Apps> = LazyLock::new(Apps::default);
static RIGHTS: LazyLock<Rights> = LazyLock::new(Rights::default);
static SLATES: LazyLock<Shown> = LazyLock::new(Shown::default);
static BANS: LazyLock<Bans> = LazyLock::new(Bans::default);
static KEYS: LazyLock<Keys> =
    LazyLock::new(|| Keys { current: Some(Key::new(1, &[1; 32], 0)), previous: None });

/// What a shard sees of a request from nowhere.
pub(crate) fn view(catalog: &Catalog) -> View<'_> {
    View {
        catalog,
        keys: &KEYS,
        rights: &RIGHTS,
        apps: &APPS,
        foreign: &FOREIGN,
        bans: &BANS,
        slates: &SLATES,
        peer: &|| None,
        now: Now::default(),
    }
}

/// A token that is good for everything, as `view` sees it.
pub(crate) fn token() -> String {
    let expires = UnixTime(1);
    let (bitrate_max, network) = (None, None);
    let claims = Claims { subscriber: None, session: 1, expires, bitrate_max, network };
    let key = KEYS.current.as_ref().expect("there is one");
    token::sealed(&claims, &[], key).expect("it is short")
}

/// The plan for a request that is answered at once.
pub(crate) fn planned(head: &str, catalog: &Catalog) -> Plan {
    let request = match parse::request(head.as_bytes()) {
        Ok(request) => request.expect("a case is complete"),
        Err(refusal) => return plan::unreadable(refusal),
    };
    match steps(&request, &view(catalog), &mut Known::default(), &mut [0; TARGET_SIZE_MAX]) {
        Ok(Step::Respond(plan)) => plan,
        Err(refusal) => plan::refusal(&request, refusal),
        Ok(step) => panic!("{step:?} is no response"),
    }
}
