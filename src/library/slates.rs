//! Slates on disk: the folder of `[slates]` in, what shards list of it out. Read once, at the
//! start.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::slates::{SLATE_FILE_SIZE_MAX, SLATES_SIZE_MAX, Section, SlateReason};
use crate::config::{Access, Channel, Config};
use crate::live::slate::on_air::Watched;
use crate::live::slate::passes::{self, Passes};
use crate::live::slate::{Slate, Slates, text};
use crate::messages::{
    Change, Device, FilePayload, Index, Listing, Opened, Payload, Residency, Single, SourceId,
    SourceKind,
};
use crate::sys::memory;
use crate::units::{Class, ETag, Extent, Rung, UnixTime, Variant, media_type};

/// How much faster than it is played a slate's stream is sent, as a fraction: whoever plays it must
/// not run dry for the sake of a rate that is right on the average.
const AHEAD: (u64, u64) = (5, 4);

/// A file without which, or with which, there are no slates.
#[derive(Debug)]
pub struct Wrong {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// Whether it is missing, so that making it would help.
    pub is_missing: bool,
}

/// Reads all slates that the config names. None are listed if it names no folder.
///
/// # Errors
///
/// The first file that is missing, or can't be one.
pub fn read(config: &Config) -> Result<(Slates, Vec<Listing>), Wrong> {
    let section = &config.slates;
    let Some(folder) = &section.path else { return Ok((Slates::default(), Vec::new())) };
    let mut slates = Slates {
        languages: section.languages.clone().into(),
        reasons: section.reasons.clone(),
        slates: Vec::new(),
        channels: watched(config),
    };
    let mut listed = Listed::default();
    for (name, reason, language) in section.files() {
        let path = folder.join(&name);
        let wrong = |error: &io::Error| wrong(&path, error);
        let file = file(&path)?;
        let modified = modified(&path).map_err(|error| wrong(&error))?;
        let made = passes::repeated(&file).map_err(|unfit| Wrong {
            path: path.clone(),
            why: unfit.to_string(),
            is_missing: false,
        })?;
        listed.size += made.bytes.len() as u64;
        if listed.size > SLATES_SIZE_MAX {
            let why = format!("with it slates take more than {SLATES_SIZE_MAX} bytes of memory");
            return Err(Wrong { path, why, is_missing: false });
        }
        let tag = ETag::of(&made.bytes).0;
        let [a, b, c, d, ..] = tag;
        let hash = u32::from_be_bytes([a, b, c, d]);
        let folder = format!("{}.{}.{hash:08x}", reason.word(), section.languages[language]);
        let slate = listed.add(folder, &made, modified).map_err(|error| wrong(&error))?;
        slates.slates.push(slate);
    }
    Ok((slates, listed.listings))
}

/// Whether every file is there, without reading them: what `check-config` can say.
///
/// # Errors
///
/// The first one that is not.
pub fn look(section: &Section) -> Result<(), Wrong> {
    let Some(folder) = &section.path else { return Ok(()) };
    for (name, ..) in section.files() {
        let path = folder.join(name);
        std::fs::metadata(&path).map_err(|error| wrong(&path, &error))?;
    }
    Ok(())
}

/// Channels that can be off air: those that somebody pushes to, whether or not anybody watches.
fn watched(config: &Config) -> Vec<Watched> {
    if !config.slates.reasons.contains(&SlateReason::OffAir) {
        return Vec::new();
    }
    let channels = config.channels.iter();
    let may_be = channels.filter(|one| one.is_pushed() && !one.sources.inputs.on_demand);
    let watched = |one: &Channel| Watched {
        id: one.id.as_str().into(),
        access: one.access.unwrap_or(config.access),
        window_ms: one.window_ms,
    };
    may_be.map(watched).collect()
}

fn wrong(path: &Path, error: &io::Error) -> Wrong {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    Wrong { path: path.to_owned(), why: error.to_string(), is_missing }
}

fn file(path: &Path) -> Result<Vec<u8>, Wrong> {
    let wrong = |error: io::Error| wrong(path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(SLATE_FILE_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > SLATE_FILE_SIZE_MAX {
        let why = format!("it has more than {SLATE_FILE_SIZE_MAX} bytes");
        return Err(Wrong { path: path.to_owned(), why, is_missing: false });
    }
    Ok(bytes)
}

fn modified(path: &Path) -> io::Result<UnixTime> {
    let since = std::fs::metadata(path)?.modified()?.duration_since(std::time::UNIX_EPOCH);
    Ok(UnixTime(since.map_or(0, |since| since.as_secs())))
}

/// What is listed of all slates.
#[derive(Default)]
struct Listed {
    listings: Vec<Listing>,
    size: u64,
}

impl Listed {
    fn add(&mut self, folder: String, made: &Passes, modified: UnixTime) -> io::Result<Slate> {
        let named = |name: &str| format!("/slate/{folder}/{name}");
        let (most, average) = made.bandwidth();
        let kbps = (average * AHEAD.0 / AHEAD.1).div_ceil(1000);
        let slate = Slate {
            ends_ms: made.ends_ms.clone(),
            kbps: u32::try_from(kbps).unwrap_or(u32::MAX),
            master: named("master.m3u8"),
            film: named("film.m3u8"),
            stream: named("stream.ts"),
            folder: folder.clone(),
        };
        let payload = in_memory(&made.bytes)?;
        let whole = Extent { offset: 0, size: made.bytes.len() as u64 };
        self.media(&slate.stream, &payload, (whole, &made.bytes), modified);
        for (at, extent) in made.segments.iter().enumerate() {
            let (start, size) = (extent.offset as usize, extent.size as usize);
            let bytes = &made.bytes[start..start + size];
            self.media(&named(&format!("{at}.ts")), &payload, (*extent, bytes), modified);
        }
        let (mut master, mut film) = (String::new(), String::new());
        let is_written = text::write_film(&mut film, &slate).and_then(|()| {
            let of = (&*made.codecs, made.resolution);
            text::write_master(&mut master, &slate, of, (most, average))
        });
        is_written.expect("a string takes everything");
        for (path, text) in [(&slate.master, master), (&slate.film, film)] {
            let extent = Extent { offset: 0, size: text.len() as u64 };
            let etag = ETag::of(text.as_bytes());
            let payload = Payload::Heap(text.into_bytes().into());
            self.list(path, payload, Variant { extent, etag }, modified);
        }
        Ok(slate)
    }

    fn media(
        &mut self,
        path: &str,
        payload: &Arc<FilePayload>,
        (extent, bytes): (Extent, &[u8]),
        modified: UnixTime,
    ) {
        let identity = Variant { extent, etag: ETag::of(bytes) };
        self.list(path, Payload::File(Arc::clone(payload)), identity, modified);
    }

    fn list(&mut self, path: &str, payload: Payload, identity: Variant, modified: UnixTime) {
        let (media_type, class) = (media_type(path), Class::of(path));
        let source = SourceId::of_slate(self.listings.len() as u64);
        let index = Index::Single(Single {
            media_type,
            class,
            modified,
            identity,
            gzip: None,
            narrowed: Box::default(),
            rung: Rung::default(),
        });
        let opened = Some(Arc::new(Opened { source, index, payload, beside: None }));
        let (kind, access) = (SourceKind::File, Access::Open);
        let change = Change::Present { source, kind, access, opened };
        self.listings.push(Listing { path: path.into(), change });
    }
}

/// Bytes where they can be sent from like a file.
fn in_memory(bytes: &[u8]) -> io::Result<Arc<FilePayload>> {
    let size = bytes.len() as u64;
    let file = memory::sealed(c"shardcast-slate", size)?;
    file.write_all_at(bytes, 0)?;
    let (device, residency) = (Device::default(), Residency::Memory);
    Ok(Arc::new(FilePayload { fd: file.into(), size, device, residency, map: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVC: &[u8] = include_bytes!("../../tests/fuzz/seeds/transport/avc-aac.ts");

    fn config(folder: &Path) -> Config {
        let languages = vec!["en".to_owned(), "de".to_owned()];
        let reasons = vec![SlateReason::Limit];
        let slates = Section { path: Some(folder.to_owned()), languages, reasons };
        Config { slates, ..Config::default() }
    }

    #[test]
    fn a_folder_becomes_what_shards_list() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["limit.en.ts", "limit.de.ts"] {
            std::fs::write(dir.path().join(name), AVC).unwrap();
        }
        let (slates, listings) = read(&config(dir.path())).unwrap();
        assert_eq!(slates.slates.len(), 2);
        // Sixty segments, the stream and two playlists of each.
        assert_eq!(listings.len(), 2 * 63);
        let slate = &slates.slates[1];
        assert!(slate.folder.starts_with("limit.de."), "{}", slate.folder);
        let opened = |path: &str| {
            let listing = listings.iter().find(|of| *of.path == *path).expect(path);
            listing.opened().unwrap()
        };
        let text = |path: &str| match &opened(path).payload {
            Payload::Heap(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => panic!("{path} is a text"),
        };
        let master = text(&slate.master);
        assert!(master.contains(",RESOLUTION=64x36\n"), "{master}");
        for line in text(&slate.film).lines().filter(|line| !line.starts_with('#')) {
            let (opened, stream) = (opened(line), opened(&slate.stream));
            let (Payload::File(part), Payload::File(whole)) = (&opened.payload, &stream.payload)
            else {
                panic!("they are media")
            };
            assert!(Arc::ptr_eq(part, whole), "all of it lies in one memory");
        }
    }

    #[test]
    fn the_first_file_that_is_missing_or_no_slate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let missing = |name: &str, wrong: Wrong| {
            assert_eq!((wrong.path, wrong.is_missing), (dir.path().join(name), true));
        };
        missing("limit.en.ts", read(&config).unwrap_err());
        std::fs::write(dir.path().join("limit.en.ts"), AVC).unwrap();
        missing("limit.de.ts", read(&config).unwrap_err());
        missing("limit.de.ts", look(&config.slates).unwrap_err());
        std::fs::write(dir.path().join("limit.de.ts"), "a picture").unwrap();
        look(&config.slates).unwrap();
        let wrong = read(&config).unwrap_err();
        assert_eq!((&*wrong.why, wrong.is_missing), ("it is no MPEG transport stream", false));
        let long = File::create(dir.path().join("limit.de.ts")).unwrap();
        long.set_len(SLATE_FILE_SIZE_MAX + 1).unwrap();
        assert!(read(&config).unwrap_err().why.contains("more than 8388608 bytes"));
        assert!(read(&Config::default()).unwrap().0.is_empty());
    }

    #[test]
    fn channels_that_run_only_when_watched_are_never_off_air() {
        let channel = |id: &str, on_demand| {
            let mut channel = channel_of(id);
            channel.sources.inputs.on_demand = on_demand;
            channel
        };
        let channels = vec![channel("news", false), channel("sport", true)];
        let mut config = Config { channels, ..Config::default() };
        let ids = |config: &Config| -> Vec<Box<str>> {
            watched(config).into_iter().map(|watched| watched.id).collect()
        };
        assert_eq!(ids(&config), ["news".into()]);
        config.slates.reasons = vec![SlateReason::Limit];
        assert!(ids(&config).is_empty());
    }

    fn channel_of(id: &str) -> Channel {
        Channel {
            id: id.to_owned(),
            name: id.to_owned(),
            access: None,
            window_ms: 60_000,
            segment_ms: None,
            part_ms: None,
            patience_ms: None,
            archive: None,
            push: None,
            sources: crate::config::sources::Sources::default(),
            shelf: Default::default(),
        }
    }
}
