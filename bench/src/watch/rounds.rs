//! Asks the servers for every edition, round after round, and hands over what they say.
//!
//! A round begins with the next part of the first rendition, which the server holds until it is
//! there, so rounds follow the channel. With two servers each round asks the other one first, as a
//! client does that is sent here and there, and then both must have said the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::findings::Findings;
use super::history::History;
use super::hls::{Playlist, Segment};
use super::media::Objects;
use super::mpd::Manifest;
use super::rules;
use crate::load::fetch::{Fetched, Fetcher, PATIENCE};
use crate::load::random::Random;
use crate::load::viewers;

/// Plain editions, deltas and manifests are asked for once in so many rounds.
const OTHERS_EVERY: u64 = 3;

/// Media playlists hold requests for three target durations; of at most this many seconds.
const HOLD: Duration = Duration::from_secs(40);

/// Pause after a server could not be reached.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A server.
pub struct Station {
    /// How it is called in findings: empty if it is the only one.
    name: String,
    fetcher: Fetcher,
    /// The channel's path there.
    path: String,
}

/// One rendition.
struct Rendition {
    name: String,
    history: History,
    /// The last low-latency playlist, by server.
    last: BTreeMap<usize, Playlist>,
    /// What comes next: segment and part.
    next: Option<(u64, u64)>,
}

/// The end.
#[derive(Clone, Debug)]
struct Until {
    moment: Instant,
    stop: Arc<AtomicBool>,
}

/// What is watched.
pub struct Watch {
    stations: Vec<Station>,
    renditions: Vec<Rendition>,
    objects: Objects,
    random: Random,
    save: Option<PathBuf>,
    /// When it is to end, and what ends it before.
    until: Option<Until>,
    /// Periods by id, and what stays of a manifest, by edition.
    periods: BTreeMap<String, u64>,
    manifests: BTreeMap<String, (i64, i64, String)>,
    /// Said of other renditions, and not checked yet: server, rendition, last part.
    reports: Vec<(usize, String, (u64, u64))>,
    /// What is wrong.
    pub findings: Findings,
    /// Rounds so far.
    pub rounds: u64,
    /// Texts and objects that were fetched.
    pub fetched: u64,
    /// Times that a server could not be reached.
    pub outages: u64,
}

impl Until {
    /// How long there is still to go.
    fn left(&self) -> Duration {
        if self.stop.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.moment.saturating_duration_since(Instant::now())
    }
}

impl Station {
    /// From the URL of a channel.
    pub fn new(url: &str, name: &str) -> Result<Self, String> {
        let path = crate::load::urls::split(url)?.1.trim_end_matches('/').to_owned();
        Ok(Self { name: name.to_owned(), fetcher: Fetcher::new(url)?, path })
    }
}

impl Watch {
    /// Finds the channel's renditions.
    pub fn start(stations: Vec<Station>, save: Option<PathBuf>, seed: u64) -> Result<Self, String> {
        let mut watch = Self {
            stations,
            renditions: Vec::new(),
            objects: Objects::default(),
            random: Random::new(seed),
            save,
            until: None,
            periods: BTreeMap::new(),
            manifests: BTreeMap::new(),
            reports: Vec::new(),
            findings: Findings::default(),
            rounds: 0,
            fetched: 0,
            outages: 0,
        };
        let station = &mut watch.stations[0];
        let master = station.fetcher.get(&format!("{}/ll.m3u8", station.path), PATIENCE)?;
        if master.status != 200 {
            return Err(format!("{}/ll.m3u8: status {}", station.path, master.status));
        }
        let uris = rules::multivariant(&master.text(), "ll.m3u8", &mut watch.findings);
        for uri in uris {
            let (name, _) = uri.split_once('/').ok_or("a rendition without a folder")?;
            watch.renditions.push(Rendition {
                name: name.to_owned(),
                history: History::default(),
                last: BTreeMap::new(),
                next: None,
            });
        }
        if watch.renditions.is_empty() {
            return Err("the channel has no renditions".to_owned());
        }
        Ok(watch)
    }

    /// Names of its renditions.
    pub fn renditions(&self) -> Vec<String> {
        self.renditions.iter().map(|one| one.name.clone()).collect()
    }

    /// One round over everything.
    pub fn round(&mut self) {
        let count = self.stations.len();
        let first = self.rounds as usize % count;
        for at in 0..self.renditions.len() {
            // Both are asked for the same; whatever is there is asked for after trouble.
            let mut next = None;
            for turn in 0..count {
                next = self.low_latency((first + turn) % count, at);
            }
            self.renditions[at].next = next;
        }
        if self.rounds.is_multiple_of(OTHERS_EVERY) {
            for server in 0..count {
                for at in 0..self.renditions.len() {
                    self.plain(server, at);
                    self.delta(server, at);
                }
                self.multivariant(server);
                self.manifest(server, "manifest.mpd", false);
                self.manifest(server, "ll.mpd", true);
            }
        }
        self.rounds += 1;
    }

    /// Where something was found.
    fn place(&self, server: usize, path: &str) -> String {
        match self.stations[server].name.as_str() {
            "" => path.to_owned(),
            name => format!("{name}: {path}"),
        }
    }

    /// Fetches a text or an object; anything but 200 is a finding. When the end has come, nothing
    /// is fetched any more, and what was waited for in vain until then says nothing.
    fn get(&mut self, server: usize, path: &str, patience: Duration) -> Option<Fetched> {
        let left = self.until.as_ref().map_or(patience, Until::left);
        if left.is_zero() {
            return None;
        }
        let station = &mut self.stations[server];
        let place = format!("{}/{path}", station.path);
        match station.fetcher.get(&place, patience.min(left)) {
            Ok(fetched) => {
                self.fetched += 1;
                let status = fetched.status;
                if status == 200 {
                    return Some(fetched);
                }
                let place = self.place(server, path);
                self.findings.add("status", &place, format!("status {status}"));
            }
            Err(_) if self.until.as_ref().is_some_and(|until| until.left().is_zero()) => {}
            Err(error) => {
                self.outages += 1;
                let place = self.place(server, path);
                self.findings.add("outage", &place, error);
                thread::sleep(RETRY_AFTER);
            }
        }
        None
    }

    /// The same for a playlist, which is kept if that is wanted.
    fn playlist(&mut self, server: usize, path: &str, patience: Duration) -> Option<Playlist> {
        let fetched = self.get(server, path, patience)?;
        self.keep(server, path, &fetched.body);
        let place = self.place(server, path);
        let kind = fetched.header("content-type").unwrap_or_default();
        self.findings.check(kind == "application/vnd.apple.mpegurl", "media type", &place, || {
            format!("Content-Type is '{kind}'")
        });
        match Playlist::read(&fetched.text()) {
            Ok(playlist) => Some(playlist),
            Err(error) => {
                self.findings.add("syntax", &place, error);
                None
            }
        }
    }

    /// Writes a text for other parsers.
    fn keep(&mut self, server: usize, path: &str, body: &[u8]) {
        let Some(folder) = &self.save else { return };
        let name = path.split('?').next().unwrap_or_default().replace('/', "-");
        let is_delta = path.contains("_HLS_skip");
        let kind = if is_delta { "delta-" } else { "" };
        let file = folder.join(format!("{:06}-{server}-{kind}{name}", self.rounds));
        if let Err(error) = fs::write(&file, body) {
            self.findings.add("saving", path, format!("{}: {error}", file.display()));
        }
    }

    /// The low-latency playlist, held until there is something new, and all that it lists; gives
    /// what comes next.
    fn low_latency(&mut self, server: usize, at: usize) -> Option<(u64, u64)> {
        let name = self.renditions[at].name.clone();
        let path = format!("{name}/ll.m3u8");
        let next = self.renditions[at].next;
        let query = match next {
            Some((segment, part)) => format!("{name}/{}", viewers::reload(segment, part)),
            None => path.clone(),
        };
        let playlist = self.playlist(server, &query, HOLD)?;
        let place = self.place(server, &path);
        let findings = &mut self.findings;
        rules::low_latency(&playlist, false, &place, findings);
        let history = &mut self.renditions[at].history;
        history.record(&playlist, &place, findings);
        if let (Some(next), Some(last)) = (next, playlist.last_part()) {
            findings.check(last >= next, "blocking reload", &place, || {
                format!("{next:?} was asked for, and the last part is {last:?}")
            });
        }
        self.take_reports(server, at, &playlist);
        self.fetch_new(server, at, &playlist);
        self.look_at_old(server, at, &playlist);
        let hint = playlist.hint.as_deref().and_then(viewers::place);
        self.renditions[at].last.insert(server, playlist);
        hint
    }

    /// What is said of other renditions is true as soon as it is said, and not far behind.
    fn take_reports(&mut self, server: usize, at: usize, playlist: &Playlist) {
        let name = self.renditions[at].name.clone();
        let place = self.place(server, &format!("{name}/ll.m3u8"));
        let last = playlist.last_part().unwrap_or_default();
        // What others have said of this one before.
        let (of_this, of_others) = std::mem::take(&mut self.reports)
            .into_iter()
            .partition::<Vec<_>, _>(|(by, of, _)| *by == server && *of == name);
        self.reports = of_others;
        for (_, _, said) in of_this {
            self.findings.check(said <= last, "rendition report", &place, || {
                format!("{said:?} was reported of it, and its last part is {last:?}")
            });
        }
        let mut missing: Vec<_> =
            self.renditions().into_iter().filter(|one| *one != name).collect();
        for (uri, segment, part) in &playlist.reports {
            let of = uri.strip_prefix("../").and_then(|uri| uri.strip_suffix("/ll.m3u8"));
            let known = missing.iter().position(|one| Some(one.as_str()) == of);
            let Some(known) = known.map(|known| missing.remove(known)) else {
                self.findings.add("rendition report", &place, format!("'{uri}' is reported"));
                continue;
            };
            let other = self.renditions.iter().find(|one| one.name == known);
            let seen = self.place(server, &format!("{known}/ll.m3u8"));
            let before = other.and_then(|other| other.history.last_part(&seen));
            let is_near = before.is_none_or(|(number, _)| *segment + 1 >= number);
            self.findings.check(is_near, "rendition report", &place, || {
                format!("{known} is reported at {segment}.{part}, and was at {before:?} before")
            });
            self.reports.push((server, known, (*segment, *part)));
        }
        self.findings.check(missing.is_empty(), "rendition report", &place, || {
            format!("none of {missing:?}")
        });
    }

    /// Fetches what has not been fetched from this server: parts, segments and headers.
    fn fetch_new(&mut self, server: usize, at: usize, playlist: &Playlist) {
        let name = self.renditions[at].name.clone();
        let before = self.renditions[at].last.get(&server);
        let known = before.map_or(0, Playlist::next_number);
        let known_parts = before.and_then(Playlist::last_part);
        let is_first = before.is_none();
        let maps: Vec<_> = playlist.all().filter_map(|segment| segment.map.clone()).collect();
        for map in maps {
            let path = format!("{name}/{map}");
            if !self.objects.has(&path) || is_first {
                self.fetch(server, &path);
            }
        }
        for segment in playlist.all() {
            let number = segment.number;
            for (index, part) in (0..).zip(&segment.parts) {
                let is_new = known_parts.is_none_or(|known| (number, index) > known);
                if !part.gap
                    && is_new
                    && let Some(body) = self.fetch(server, &format!("{name}/{}", part.uri))
                {
                    self.objects.take_part(&format!("{server}/{name}"), (number, index), &body);
                }
            }
            if number >= known && !segment.gap && !segment.uri.is_empty() {
                self.fetch_segment(server, &name, segment);
            }
        }
    }

    fn fetch_segment(&mut self, server: usize, name: &str, segment: &Segment) {
        let path = format!("{name}/{}", segment.uri);
        let Some(body) = self.fetch(server, &path) else { return };
        let place = self.place(server, &path);
        let parts = (segment.number, segment.parts.len() as u64);
        let folder = format!("{server}/{name}");
        self.objects.take_segment(&folder, parts, &body, &place, &mut self.findings);
    }

    /// Fetches an object, and compares it with what it was before, there or elsewhere.
    fn fetch(&mut self, server: usize, path: &str) -> Option<Vec<u8>> {
        let fetched = self.get(server, path, PATIENCE)?;
        let place = self.place(server, path);
        self.objects.take(path, &fetched, &place, &mut self.findings);
        Some(fetched.body)
    }

    /// What is listed is there, the oldest too and any other, and what has just left stays a while.
    fn look_at_old(&mut self, server: usize, at: usize, playlist: &Playlist) {
        let name = self.renditions[at].name.clone();
        let before = self.renditions[at].last.get(&server);
        let is_gone = |segment: &&Segment| segment.number < playlist.sequence && !segment.gap;
        let gone = before.into_iter().flat_map(|before| before.segments.iter().filter(is_gone));
        let gone: Vec<_> = gone.map(|segment| segment.uri.clone()).collect();
        let listed: Vec<_> = playlist.segments.iter().filter(|segment| !segment.gap).collect();
        let mut again: Vec<_> = listed.first().map(|first| first.uri.clone()).into_iter().collect();
        if !listed.is_empty() {
            again.push(listed[self.random.below(listed.len())].uri.clone());
        }
        for uri in gone.into_iter().chain(again) {
            self.fetch(server, &format!("{name}/{uri}"));
        }
    }

    fn plain(&mut self, server: usize, at: usize) {
        let path = format!("{}/index.m3u8", self.renditions[at].name);
        let Some(playlist) = self.playlist(server, &path, PATIENCE) else { return };
        let place = self.place(server, &path);
        rules::plain(&playlist, &place, &mut self.findings);
        self.renditions[at].history.record(&playlist, &place, &mut self.findings);
    }

    /// A delta between two whole playlists that are the same, which may take a few tries.
    fn delta(&mut self, server: usize, at: usize) {
        let path = format!("{}/ll.m3u8", self.renditions[at].name);
        let skip = format!("{path}?_HLS_skip=YES");
        for _ in 0..3 {
            let Some(whole) = self.playlist(server, &path, PATIENCE) else { return };
            let Some(delta) = self.playlist(server, &skip, PATIENCE) else { return };
            let Some(after) = self.playlist(server, &path, PATIENCE) else { return };
            if whole == after {
                let place = self.place(server, &skip);
                rules::delta(&delta, &whole, &place, &mut self.findings);
                return;
            }
        }
    }

    fn multivariant(&mut self, server: usize) {
        for (path, name) in [("master.m3u8", "index.m3u8"), ("ll.m3u8", "ll.m3u8")] {
            let Some(fetched) = self.get(server, path, PATIENCE) else { continue };
            self.keep(server, path, &fetched.body);
            let place = self.place(server, path);
            let mut uris = rules::multivariant(&fetched.text(), &place, &mut self.findings);
            let wanted = self.renditions();
            uris.retain(|uri| !wanted.iter().any(|one| *uri == format!("{one}/{name}")));
            self.findings.check(uris.is_empty(), "renditions", &place, || {
                format!("{uris:?} are new, or have another name")
            });
        }
    }

    fn manifest(&mut self, server: usize, path: &str, is_low: bool) {
        let Some(fetched) = self.get(server, path, PATIENCE) else { return };
        self.keep(server, path, &fetched.body);
        let place = self.place(server, path);
        let manifest = match Manifest::read(&fetched.text()) {
            Ok(manifest) => manifest,
            Err(error) => return self.findings.add("syntax", &place, error),
        };
        self.constants(&manifest, &place);
        let mut others = Vec::new();
        let mut pairs = Vec::new();
        for of in &manifest.representations {
            let Some(one) = self.renditions.iter_mut().find(|one| one.name == of.id) else {
                self.findings.add("renditions", &place, format!("{} is not in HLS", of.id));
                continue;
            };
            let both = (&manifest, of);
            one.history.record_entries(both, is_low, &place, &mut self.findings);
            self.findings.check(is_low == of.early.is_some(), "availability", &place, || {
                format!("{}: @availabilityTimeOffset is {:?}", of.id, of.early)
            });
            self.findings.check(
                of.bandwidth > 0 && !of.codecs.is_empty(),
                "codecs",
                &place,
                || format!("{} has no bandwidth or no codecs", of.id),
            );
            // What HLS has not listed yet is fetched, and grows perhaps.
            let whole = of.segments.len() - usize::from(is_low && !of.segments.is_empty());
            others.push(of.header.clone());
            let listed = || of.segments[..whole].iter().filter(|entry| !entry.gap);
            others.extend(listed().map(|entry| entry.url.clone()));
            let named = |entry| one.history.other_name(&manifest, of, entry);
            pairs.extend(listed().filter_map(|entry| Some((entry.url.clone(), named(entry)?))));
        }
        for path in others {
            if !self.objects.has(&path) {
                self.fetch(server, &path);
            }
        }
        for (path, other) in pairs {
            self.objects.are_same(&path, &other, &place, &mut self.findings);
        }
    }

    /// What stays in a manifest, and what only goes up.
    fn constants(&mut self, manifest: &Manifest, place: &str) {
        let findings = &mut self.findings;
        findings.check(manifest.has_clock, "clock", place, || "no UTCTiming".to_owned());
        findings.check(!manifest.representations.is_empty(), "renditions", place, || {
            "no Representation".to_owned()
        });
        findings.check(manifest.depth > 0, "depth", place, || "nothing is kept".to_owned());
        for (id, start) in &manifest.periods {
            let known = *self.periods.entry(id.clone()).or_insert(*start);
            findings.check(known == *start, "period", place, || {
                format!("Period {id} began at {known} µs, and begins at {start} µs")
            });
        }
        let now = (manifest.published, manifest.zero, manifest.id.clone());
        if let Some(before) = self.manifests.insert(place.to_owned(), now.clone()) {
            findings.check(before.0 <= now.0, "publish time", place, || {
                format!("it was {} µs of Unix time, and is {}", before.0, now.0)
            });
            findings.check((before.1, &before.2) == (now.1, &now.2), "constants", place, || {
                format!("@availabilityStartTime and @id were {before:?}, and are {now:?}")
            });
        }
    }

    /// Rounds until the moment has come.
    pub fn run(&mut self, until: Instant, stop: &Arc<AtomicBool>) {
        let until = Until { moment: until, stop: Arc::clone(stop) };
        self.until = Some(until.clone());
        while !until.left().is_zero() {
            self.round();
        }
    }
}
