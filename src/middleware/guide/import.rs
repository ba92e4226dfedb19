//! From a file to the next edition of a source: read as a stream, gathered by channel, packed.
//!
//! In memory are a piece of the file, the names of the source's channels, and what waits to become
//! blocks, which has a limit. The edition that counts stays what it was until this one is whole.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::programme::{Gathered, Packed, Programme, unpacked};
use super::store::{Kept, Reading, SourceChannel, Store, StoreError};
use super::unpack::{self, Progress};
use super::xmltv::{Guide, Item};
use crate::config::guide::{
    GUIDE_CHANNELS_MAX, GUIDE_HELD_SIZE_MAX, GUIDE_PROGRAMMES_MAX, GUIDE_SKIPS_TOLD_MAX,
};
use crate::units::{MIB, UnixTime};

/// Bytes of blocks that are written at once.
const WRITTEN_SIZE: usize = 2 * MIB;

/// What is to be imported.
pub struct Order<'o> {
    /// Of which source.
    pub source: &'o str,
    /// What the source's edition is kept with.
    pub kept: Kept,
    /// The file.
    pub path: &'o Path,
    /// Minutes that times without an offset are ahead of UTC.
    pub offset_minutes: i32,
    /// Most bytes of XML.
    pub unpacked_max: u64,
    /// How far it is.
    pub progress: &'o Progress,
    /// For how many seconds the past of a channel of this source is kept.
    pub past_seconds: &'o dyn Fn(&str) -> u64,
    /// The time.
    pub now: UnixTime,
}

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Channels of the source.
    pub channels: u64,
    /// Programmes that were taken.
    pub programmes: u64,
    /// Past programmes of the edition before, which the new one does not have.
    pub past_programmes: u64,
    /// Programmes that could not be taken,
    pub skipped: u64,
    /// and where the first of them stand.
    pub skips: Vec<Skip>,
    /// Bytes that were no text.
    pub replaced: u64,
    /// The start of the first programme,
    pub first: u64,
    /// and the end of the last.
    pub last: u64,
    /// Bytes of the file.
    pub size: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Something that could not be taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skip {
    /// The line in which it ends.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file, for whoever made it.
    File(String),
    /// The store, for whoever runs the server.
    Store(StoreError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(why) => f.write_str(why),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A channel of the edition that is being written.
#[derive(Debug, Default)]
struct Building {
    channel: SourceChannel,
    gathered: Gathered,
    /// The source has said what it is; else only its programmes were seen.
    is_said: bool,
}

/// Imports a file as the next edition of its source.
///
/// # Errors
///
/// The file is no guide, or the store failed; the edition before still counts.
pub fn import(store: &mut Store, reading: &Reading, order: &Order<'_>) -> Result<Report, Failure> {
    let began = Instant::now();
    let edition = store.begin(order.source)?;
    let mut work = Work {
        store,
        edition,
        order,
        report: Report::default(),
        channels: Vec::new(),
        by_id: HashMap::new(),
        held: 0,
        ready: Vec::new(),
        ready_size: 0,
    };
    let outcome = work.read().and_then(|()| work.finish(reading));
    let mut report = std::mem::take(&mut work.report);
    let store = work.store;
    if let Err(failure) = outcome {
        store.drop_edition(edition)?;
        return Err(failure);
    }
    report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.size = order.progress.size.load(std::sync::atomic::Ordering::Relaxed);
    store.finish((order.source, edition), &order.kept, order.now)?;
    Ok(report)
}

struct Work<'w> {
    store: &'w mut Store,
    edition: i64,
    order: &'w Order<'w>,
    report: Report,
    channels: Vec<Building>,
    by_id: HashMap<String, usize>,
    /// Bytes that wait in all channels.
    held: usize,
    /// Blocks that are to be written.
    ready: Vec<(i64, Packed)>,
    ready_size: usize,
}

impl Work<'_> {
    fn read(&mut self) -> Result<(), Failure> {
        let Order { path, unpacked_max, progress, offset_minutes, .. } = *self.order;
        let file = |error: std::io::Error| Failure::File(error.to_string());
        let unpacked = unpack::opened(path, unpacked_max, progress).map_err(file)?;
        let malformed = |of: super::xmltv::Malformed| Failure::File(of.to_string());
        let mut guide = Guide::new(unpacked, offset_minutes).map_err(malformed)?;
        while let Some(item) = guide.next().map_err(malformed)? {
            match item {
                Item::Channel { xmltv, names, icon } => {
                    let at = self.channel(&xmltv)?;
                    let building = &mut self.channels[at];
                    if !building.is_said {
                        building.is_said = true;
                        (building.channel.names, building.channel.icon) = (names, icon);
                    }
                }
                Item::Programme { xmltv, programme } => self.add(&xmltv, &programme)?,
                Item::Skipped { line, why } => {
                    self.report.skipped += 1;
                    if self.report.skips.len() < GUIDE_SKIPS_TOLD_MAX {
                        self.report.skips.push(Skip { line, why: why.to_owned() });
                    }
                }
            }
        }
        self.report.replaced = guide.replaced();
        if self.report.programmes == 0 {
            let skipped = self.report.skipped;
            let why = format!("there is no programme in it that can be taken ({skipped} can't be)");
            return Err(Failure::File(why));
        }
        Ok(())
    }

    /// Where a channel is; it is made if it is new.
    fn channel(&mut self, xmltv: &str) -> Result<usize, Failure> {
        if let Some(at) = self.by_id.get(xmltv) {
            return Ok(*at);
        }
        if self.channels.len() == GUIDE_CHANNELS_MAX {
            return Err(Failure::File(format!("it has more than {GUIDE_CHANNELS_MAX} channels")));
        }
        let mut channel = SourceChannel { xmltv: xmltv.to_owned(), ..SourceChannel::default() };
        channel.first = u64::MAX;
        let at = self.channels.len();
        self.channels.push(Building { channel, ..Building::default() });
        self.by_id.insert(xmltv.to_owned(), at);
        Ok(at)
    }

    fn add(&mut self, xmltv: &str, programme: &Programme) -> Result<(), Failure> {
        if self.report.programmes == GUIDE_PROGRAMMES_MAX {
            let why = format!("it has more than {GUIDE_PROGRAMMES_MAX} programmes");
            return Err(Failure::File(why));
        }
        self.report.programmes += 1;
        let at = self.channel(xmltv)?;
        let gathered = &mut self.channels[at].gathered;
        let before = gathered.size();
        gathered.add(programme);
        self.held += gathered.size() - before;
        if gathered.is_full() {
            self.pack(at, false)?;
        }
        if self.held > GUIDE_HELD_SIZE_MAX {
            // The smaller ones stay: they would be blocks of a few programmes.
            let mean = self.held / self.channels.len();
            for at in 0..self.channels.len() {
                if self.channels[at].gathered.size() >= mean {
                    self.pack(at, false)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a block of what a channel has gathered.
    fn pack(&mut self, at: usize, is_over: bool) -> Result<(), Failure> {
        let building = &mut self.channels[at];
        let before = building.gathered.size();
        let packed = building.gathered.packed(is_over);
        self.held -= before - building.gathered.size();
        let Some(packed) = packed else { return Ok(()) };
        let channel = &mut building.channel;
        channel.first = channel.first.min(packed.first);
        channel.last = channel.last.max(packed.last);
        channel.programmes += packed.count;
        self.ready(at, packed)
    }

    fn ready(&mut self, at: usize, packed: Packed) -> Result<(), Failure> {
        if self.channels[at].channel.number == 0 {
            let channel = &self.channels[at].channel;
            let number = self.store.write(|writing| writing.channel(self.edition, channel))?;
            self.channels[at].channel.number = number;
        }
        self.ready_size += packed.bytes.len();
        self.ready.push((self.channels[at].channel.number, packed));
        if self.ready_size >= WRITTEN_SIZE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Failure> {
        let ready = std::mem::take(&mut self.ready);
        self.ready_size = 0;
        self.store.write(|writing| {
            ready.iter().try_for_each(|(channel, packed)| writing.block(*channel, packed))
        })?;
        Ok(())
    }

    fn finish(&mut self, reading: &Reading) -> Result<(), Failure> {
        for at in 0..self.channels.len() {
            self.pack(at, true)?;
        }
        self.carry(reading)?;
        self.write()?;
        let channels = &self.channels;
        let edition = self.edition;
        self.store.write(|writing| {
            for Building { channel, .. } in channels {
                let mut channel = channel.clone();
                if channel.programmes == 0 {
                    channel.first = 0;
                }
                if channel.number == 0 {
                    channel.number = writing.channel(edition, &channel)?;
                }
                writing.counted(&channel)?;
            }
            Ok(())
        })?;
        let starts = self.channels.iter().map(|of| of.channel.first);
        self.report.first = starts.min().unwrap_or_default();
        self.report.last = self.channels.iter().map(|of| of.channel.last).max().unwrap_or_default();
        self.report.channels = self.channels.len() as u64;
        Ok(())
    }

    /// Takes over what is past, and can still be watched, from the edition before: guides begin
    /// with today.
    fn carry(&mut self, reading: &Reading) -> Result<(), Failure> {
        let Some(before) = reading.kept(self.order.source)?.and_then(|kept| kept.edition) else {
            return Ok(());
        };
        let now = self.order.now.0;
        for channel in reading.channels(before)? {
            let from = now.saturating_sub((self.order.past_seconds)(&channel.xmltv));
            let known = self.by_id.get(&channel.xmltv).map(|&at| self.channels[at].channel.first);
            let to = known.unwrap_or(u64::MAX).min(now);
            if channel.last <= from || channel.first >= to {
                continue;
            }
            let mut gathered = Gathered::default();
            reading.blocks(channel.number, (from, to), |bytes| {
                for mut programme in unpacked(bytes).unwrap_or_default() {
                    if programme.stop.0 > from && programme.start.0 < to {
                        // What was on when the new edition begins ends there.
                        if known.is_some_and(|first| first < programme.stop.0) {
                            programme.stop = UnixTime(known.unwrap_or_default());
                        }
                        gathered.add(&programme);
                    }
                }
            })?;
            if let Some(packed) = gathered.packed(true) {
                let at = self.channel(&channel.xmltv)?;
                let building = &mut self.channels[at];
                if !building.is_said {
                    building.is_said = true;
                    building.channel.names.clone_from(&channel.names);
                    building.channel.icon.clone_from(&channel.icon);
                }
                building.channel.first = building.channel.first.min(packed.first);
                building.channel.last = building.channel.last.max(packed.last);
                building.channel.programmes += packed.count;
                self.report.past_programmes += packed.count;
                self.ready(at, packed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::middleware::guide::programme::tidy;
    use crate::middleware::guide::time;

    struct Place {
        folder: tempfile::TempDir,
        store: Store,
        reading: Reading,
    }

    const NOON: UnixTime = UnixTime(1_795_780_800);

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let reading = Reading::open(folder.path()).unwrap();
            Self { folder, store, reading }
        }

        fn import(
            &mut self,
            text: &str,
            past_seconds: u64,
            now: UnixTime,
        ) -> Result<Report, Failure> {
            let path = self.folder.path().join("guide.xml");
            std::fs::write(&path, text).unwrap();
            let progress = Progress::default();
            let order = Order {
                source: "a",
                kept: Kept { etag: Some("\"1\"".to_owned()), ..Kept::default() },
                path: &path,
                offset_minutes: 0,
                unpacked_max: 1 << 30,
                progress: &progress,
                past_seconds: &|_| past_seconds,
                now,
            };
            let report = import(&mut self.store, &self.reading, &order);
            assert_eq!(progress.size.load(Ordering::Relaxed), text.len() as u64);
            report
        }

        /// What counts of a channel: how far each begins from noon, in hours, and what it is.
        fn told(&self, xmltv: &str) -> Vec<(i64, String)> {
            let kept = self.reading.kept("a").unwrap().unwrap();
            let channels = self.reading.channels(kept.edition.unwrap()).unwrap();
            let channel = channels.iter().find(|channel| channel.xmltv == xmltv).unwrap();
            let mut all = Vec::new();
            self.reading
                .blocks(channel.number, (0, u64::MAX), |bytes| all.extend(unpacked(bytes).unwrap()))
                .unwrap();
            assert_eq!(all.len() as u64, channel.programmes);
            tidy(&mut all);
            let hours = |of: &Programme| (of.start.0.cast_signed() - NOON.0.cast_signed()) / 3600;
            all.into_iter().map(|of| (hours(&of), of.title)).collect()
        }
    }

    /// An hour of a channel, so many hours from noon.
    fn hour(channel: &str, at: i64, title: &str) -> String {
        let of = |at: i64| time::written(UnixTime(NOON.0.saturating_add_signed(at * 3600)));
        let (start, stop) = (of(at), of(at + 1));
        format!(
            "<programme channel=\"{channel}\" start=\"{start}\" stop=\"{stop}\">\
             <title>{title}</title></programme>\n"
        )
    }

    fn tv(parts: &[String]) -> String {
        format!(
            "<tv>\n<channel id=\"c\"><display-name>C</display-name></channel>\n{}</tv>",
            parts.concat()
        )
    }

    #[test]
    fn a_guide_becomes_an_edition_and_its_past_is_kept_as_long_as_it_is_asked_for() {
        let mut place = Place::new();
        let broken = "<programme channel=\"c\" start=\"x\"/>\n".to_owned();
        let hours: Vec<_> = (-30..3).map(|at| hour("c", at, "old")).collect();
        let text = tv(&[hours.concat(), broken, hour("d", 0, "other")]);
        let report = place.import(&text, 86_400, NOON).unwrap();
        assert_eq!((report.channels, report.programmes, report.skipped), (2, 34, 1));
        assert_eq!(report.skips, [Skip { line: 36, why: "a programme's start is no time".into() }]);
        assert_eq!((report.first, report.last), (NOON.0 - 30 * 3600, NOON.0 + 3 * 3600));
        assert_eq!(place.told("c").len(), 33);
        // The next begins an hour later, without the other channel.
        let text = tv(&[hour("c", 0, "new"), hour("c", 1, "new")]);
        let later = UnixTime(NOON.0 + 3600);
        let report = place.import(&text, 24 * 3600, later).unwrap();
        assert_eq!((report.programmes, report.past_programmes), (2, 23 + 1));
        let told = place.told("c");
        assert_eq!((told.len(), told[0].clone()), (25, (-23, "old".to_owned())));
        assert_eq!(told[22..], [(-1, "old".into()), (0, "new".into()), (1, "new".into())]);
        assert_eq!(place.told("d"), [(0, "other".to_owned())]);
        assert_eq!(place.reading.kept("a").unwrap().unwrap().etag.as_deref(), Some("\"1\""));
    }

    #[test]
    fn what_fails_leaves_the_edition_before() {
        let mut place = Place::new();
        place.import(&tv(&[hour("c", 0, "good")]), 0, NOON).unwrap();
        for (text, why) in [
            ("<tv>", "line 1: it ends in the middle"),
            ("<tv><channel id=\"c\"/></tv>", "no programme in it"),
            ("<html></html>", "line 1: this is no XMLTV"),
            ("<!DOCTYPE tv [<!ENTITY a \"b\">]><tv/>", "DOCTYPE"),
        ] {
            let failure = place.import(text, 0, NOON).unwrap_err().to_string();
            assert!(failure.contains(why), "{failure}");
        }
        let half = tv(&[hour("c", 0, "bad")]).replace("</tv>", "<title>");
        assert!(place.import(&half, 0, NOON).is_err());
        assert_eq!(place.told("c"), [(0, "good".to_owned())]);
        assert_eq!(place.store.left(), (1, 1), "editions and blocks");
    }

    /// Guides that go through all channels hour by hour come out as those that go channel by
    /// channel.
    #[test]
    fn the_order_in_a_guide_does_not_matter() {
        let mut place = Place::new();
        let channels = ["c", "d", "e"];
        let texts: Vec<_> = (0..400).map(|at| format!("{at} {}", "text ".repeat(30))).collect();
        let by_time: String = (0..400)
            .flat_map(|at| channels.map(|channel| hour(channel, at, &texts[at as usize])))
            .collect();
        place.import(&tv(&[by_time]), 0, NOON).unwrap();
        let first = channels.map(|channel| place.told(channel));
        let by_channel: String = channels
            .into_iter()
            .flat_map(|channel| (0..400).rev().map(move |at| (channel, at)))
            .map(|(channel, at)| hour(channel, at, &texts[at as usize]))
            .collect();
        place.import(&tv(&[by_channel]), 0, NOON).unwrap();
        assert_eq!(first, channels.map(|channel| place.told(channel)));
        assert_eq!(first[0].len(), 400);
    }
}
