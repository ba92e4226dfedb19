//! The pack format: any set of files comes back, and no bytes make the reader panic or lie.

mod naive;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fuzz;
use super::header::{self, Kind};
use super::index::PackIndex;
use super::writer::{Layout, Object, Written};
use super::{HEADER_SIZE, PackError, PathFault, TRAILER_SIZE, check_path, compress};
use crate::units::{ETag, Extent, Variant, media_type};

/// Path → bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// A whole pack in memory, as the library writes it to disk.
fn packed(files: &Files) -> Vec<u8> {
    let mut pack = header::header(Kind::Asset).to_vec();
    let mut layout = Layout::new(Kind::Asset);
    for (path, bytes) in files {
        pack.resize(usize::try_from(layout.next_offset()).unwrap(), 0);
        let identity = put(&mut pack, bytes);
        let gzip = compress::gzip(path, bytes).map(|gzipped| {
            pack.resize(pack.len().next_multiple_of(4096), 0);
            put(&mut pack, &gzipped)
        });
        let media_type = media_type(path).to_owned();
        let path = path.clone();
        layout
            .add(Object {
                path,
                media_type,
                modified: 1_700_000_000,
                modified_nanos: 5,
                identity,
                gzip,
            })
            .unwrap();
    }
    pack.resize(usize::try_from(layout.next_offset()).unwrap(), 0);
    pack.extend_from_slice(&layout.finish().unwrap());
    pack
}

fn put(pack: &mut Vec<u8>, bytes: &[u8]) -> Written {
    let extent = Extent { offset: pack.len() as u64, size: bytes.len() as u64 };
    pack.extend_from_slice(bytes);
    let variant = Variant { extent, etag: ETag::of(bytes) };
    Written { variant, crc: crc32fast::hash(bytes) }
}

fn bytes_of(pack: &[u8], extent: Extent) -> &[u8] {
    let start = usize::try_from(extent.offset).unwrap();
    &pack[start..start + usize::try_from(extent.size).unwrap()]
}

/// Whether the pack opens and every payload is whole.
fn is_whole(pack: &[u8]) -> bool {
    let Ok(index) = PackIndex::of_bytes(pack) else { return false };
    let padded = naive::unclaimed(pack, &index).all(|byte| byte == 0);
    padded
        && (0..index.count()).all(|number| {
            let entry = index.entry(number);
            let gzip_whole = match (entry.gzip, index.gzip_crc(number)) {
                (Some(gzip), Some(crc)) => crc32fast::hash(bytes_of(pack, gzip.extent)) == crc,
                _ => true,
            };
            crc32fast::hash(bytes_of(pack, entry.identity.extent)) == entry.crc && gzip_whole
        })
}

fn small() -> Vec<u8> {
    packed(&Files::from([
        ("a/init.mp4".to_owned(), vec![7; 5000]),
        ("a/master.m3u8".to_owned(), b"#EXTM3U\nsegment.ts\n".repeat(60)),
        ("b.ts".to_owned(), vec![1; 4096]),
        ("empty".to_owned(), Vec::new()),
    ]))
}

fn element() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._äß-]{1,12}".prop_filter("dots", |e| e != "." && e != "..")
}

fn files() -> impl Strategy<Value = Files> {
    let path = prop::collection::vec(element(), 1..4).prop_map(|elements| elements.join("/"));
    let ending = prop::sample::select(vec![".ts", ".m3u8", ".mpd", ".mkv", ""]);
    let name = (path, ending).prop_map(|(path, ending)| path + ending);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..9000),
        (0..2000usize).prop_map(|count| b"#EXTINF:2,\n".repeat(count)),
    ];
    prop::collection::btree_map(name, bytes, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_files_come_back(files in files()) {
        let pack = packed(&files);
        let index = PackIndex::of_bytes(&pack).unwrap();
        prop_assert_eq!(index.count() as usize, files.len());
        for (path, bytes) in &files {
            let entry = index.entry(index.find(path.as_bytes()).expect("it is there"));
            prop_assert_eq!(entry.path, path);
            prop_assert_eq!(bytes_of(&pack, entry.identity.extent), bytes);
            prop_assert_eq!(entry.identity.etag, ETag::of(bytes));
            prop_assert_eq!(index.find(format!("{path}x").as_bytes()).is_some(),
                files.contains_key(&format!("{path}x")));
        }
        prop_assert_eq!(index.find(b""), None);
        prop_assert!(is_whole(&pack));
        // The second reader, made from the description alone, sees the same.
        let naive = naive::read(&pack);
        let ours: Vec<_> = index.entries().map(naive::Seen::of).collect();
        prop_assert_eq!(naive, ours);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        fuzz::pack(&bytes);
        fuzz::journal(&bytes);
        // The same with the frame of a pack around them, so that more of the reader is reached.
        if bytes.len() > HEADER_SIZE + TRAILER_SIZE {
            bytes[..HEADER_SIZE].copy_from_slice(&header::header(Kind::Asset)[..]);
            prop_assert!(PackIndex::of_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn lies_with_right_checksums_are_refused_or_harmless(
        at in 0usize..400, value in any::<u8>(), trailer in any::<bool>(), field in 0usize..44,
    ) {
        let mut pack = small();
        let end = pack.len() - TRAILER_SIZE;
        let index = naive::number(&pack, end + 24, 8);
        if trailer { pack[end + 12 + field] = value } else {
            let at = index + at % (end - index);
            pack[at] = value;
        }
        naive::mend_checksums(&mut pack);
        if let Ok(index) = PackIndex::of_bytes(&pack) {
            for entry in index.entries() {
                let _ = bytes_of(&pack, entry.identity.extent);
                prop_assert!(index.find(entry.path.as_bytes()).is_some());
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let good = small();
    assert!(is_whole(&good));
    let mut bad = good.clone();
    // All of header, index and trailer; of the payloads and the zeros between them every 13th.
    let index = naive::number(&good, good.len() - TRAILER_SIZE + 24, 8);
    for at in (0..good.len()).filter(|at| *at < 64 || *at >= index || at % 13 == 0) {
        bad[at] ^= 1 << (at % 8);
        assert!(!is_whole(&bad), "byte {at}");
        bad[at] = good[at];
    }
}

#[test]
fn zeroed_and_missing_pages_are_found() {
    let good = small();
    for page in (0..good.len()).step_by(4096) {
        assert!(!is_whole(&good[..page]), "cut at {page}");
        let mut bad = good.clone();
        let end = (page + 4096).min(good.len());
        bad[page..end].fill(0);
        assert!(bad == good || !is_whole(&bad), "zeroed at {page}");
    }
    for size in good.len() - 200..good.len() {
        assert!(PackIndex::of_bytes(&good[..size]).is_err(), "cut at {size}");
    }
    let mut longer = good;
    longer.push(0);
    assert_eq!(PackIndex::of_bytes(&longer).unwrap_err(), PackError::Unfinished);
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut pack = small();
    change(&mut pack);
    naive::mend_checksums(&mut pack);
    assert_eq!(PackIndex::of_bytes(&pack).unwrap_err().to_string(), expected);
}

/// Where the index and the trailer of `small` begin.
fn places() -> (usize, usize) {
    let pack = small();
    let trailer = pack.len() - TRAILER_SIZE;
    (naive::number(&pack, trailer + 24, 8), trailer)
}

#[test]
fn a_lying_pack_is_refused_with_the_reason() {
    let (index, trailer) = places();
    let version = "its header says version 2; this shardcast reads version 1";
    check_refused(|pack| pack[8] = 2, version);
    check_refused(|pack| pack[8] = 0, &version.replace('2', "0"));
    check_refused(|pack| pack[0] = 0, "it is not a segment pack");
    check_refused(
        |pack| pack[12] = 4,
        "its header has flags 0x4, which this shardcast does not know",
    );
    check_refused(|pack| pack[17] = 0x20, "its page size is 8192, not 4096");
    check_refused(|pack| pack[100] = 1, "its header is damaged (checksum)");
    check_refused(
        |pack| pack[trailer + 8] = 9,
        "its trailer says version 9; this shardcast reads version 1",
    );
    check_refused(
        |pack| pack[trailer + 40] = 200,
        "the index claims 200 objects and 1 gzip variants in 432 bytes",
    );
    check_refused(
        |pack| pack[trailer + 16] ^= 1,
        &format!("its trailer says {} bytes, the file has {}", (trailer + 64) ^ 1, trailer + 64),
    );
    check_refused(
        |pack| pack[trailer + 43] = 1,
        "objects: 16777220, more than the limit of 16777214",
    );
    check_refused(
        |pack| pack[index + 1] += 1,
        "object \"a/init.mp4\": its payload does not begin at a page",
    );
    check_refused(
        |pack| pack[index + 6] = 1,
        "object \"a/init.mp4\": its payload lies outside the pack",
    );
    check_refused(|pack| pack[index + 9] = 0x30, "two payloads overlap at byte 12288");
    check_refused(
        |pack| pack[index + 54] = 100,
        "object \"a/init.mp4\": its media type is not in the table",
    );
    let strings = trailer
        - "a/init.mp4a/master.m3u8b.tsempty".len()
        - "video/mp4application/vnd.apple.mpegurlvideo/mp2tapplication/octet-stream".len();
    check_refused(|pack| pack[strings] = b'/', "the path of object 0: it has an empty element");
    check_refused(|pack| pack[strings] = b'z', "its objects are out of order at \"a/master.m3u8\"");
    check_refused(
        |pack| pack[trailer - 1] = b'\n',
        "media type 3 has bytes that a header line cannot hold",
    );
}

#[test]
fn halves_of_two_packs_make_no_pack() {
    let (one, two) = (small(), packed(&Files::from([("x.ts".to_owned(), vec![3; 70_000])])));
    // Not from 4096: all headers are alike, so that would be the whole second pack.
    for page in (8192..one.len()).step_by(4096) {
        let swapped = [&one[..page], &two[page.min(two.len())..]].concat();
        assert!(!is_whole(&swapped), "swapped from {page}");
    }
}

#[test]
fn paths_are_checked() {
    for (path, fault) in [
        (&b""[..], PathFault::Empty),
        (b"/a", PathFault::EmptyElement),
        (b"a/", PathFault::EmptyElement),
        (b"a//b", PathFault::EmptyElement),
        (b"a/../b", PathFault::DotElement),
        (b".", PathFault::DotElement),
        (b"a\0b", PathFault::Nul),
        (b"a\xff", PathFault::NotUtf8),
        (&[b'a'; 256], PathFault::ElementTooLong),
        (&[b'/'; 1025], PathFault::TooLong),
    ] {
        assert_eq!(check_path(path), Err(fault), "{path:?}");
    }
    assert_eq!(check_path(b"..a/.b/c.."), Ok("..a/.b/c.."));
}

#[test]
fn an_index_of_a_hundred_thousand_objects_is_compact_and_complete() {
    let mut layout = Layout::new(Kind::Archive);
    for number in 0..100_000u64 {
        let extent = Extent { offset: layout.next_offset(), size: 4096 };
        let variant = Variant { extent, etag: ETag::of(&number.to_le_bytes()) };
        let identity = Written { variant, crc: 0 };
        let path = format!("{:02}/segment-{number}.m4s", number % 7);
        let media_type = "video/mp4".to_owned();
        layout
            .add(Object { path, media_type, modified: 0, modified_nanos: 0, identity, gzip: None })
            .unwrap();
    }
    let end = layout.next_offset();
    let tail = layout.finish().unwrap();
    let (index, trailer) = tail.split_at(tail.len() - TRAILER_SIZE);
    let size = end + tail.len() as u64;
    let trailer = header::Trailer::check(trailer.try_into().unwrap(), Kind::Archive, size).unwrap();
    let mut data = vec![0; PackIndex::allocation_size(&trailer)].into_boxed_slice();
    data[..index.len()].copy_from_slice(index);
    let index = PackIndex::verified(&trailer, data).unwrap();
    assert!(index.memory_size() <= 95 * 100_000, "{} bytes", index.memory_size());
    for number in 0..index.count() {
        assert_eq!(index.find(index.entry(number).path.as_bytes()), Some(number));
    }
    assert_eq!(index.find(b"00/segment-1.m4s"), None);
}
