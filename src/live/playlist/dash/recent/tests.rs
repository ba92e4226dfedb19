//! A channel that runs for a long time, and at every step patches of all recent manifests.

use std::collections::BTreeMap;

use super::super::super::super::cut::Cutter;
use super::super::super::super::events::Stream;
use super::super::super::super::fixture::{MIDNIGHT, feed_cut, lengths};
use super::super::super::super::protection::{Protection, sample};
use super::super::super::super::timeline::Timeline;
use super::super::super::multivariant::{Bandwidth, Carries, Rendition};
use super::super::patch::applier::{applied, read};
use super::super::{Edition, Presentation, Track, body, head};
use super::*;

/// A rendition that is being fed.
struct Fed {
    name: &'static str,
    timeline: Timeline,
    cutter: Cutter,
    timescale: u32,
    /// Half seconds behind the media's zero.
    at: i64,
    bandwidth: u64,
}

impl Fed {
    fn new(name: &'static str, timescale: u32) -> Self {
        let (timeline, cutter) = (Timeline::new(lengths(), 0), Cutter::new(lengths()));
        Self { name, timeline, cutter, timescale, at: MIDNIGHT, bandwidth: 100_000 }
    }

    fn feed(&mut self) {
        feed_cut(&mut self.timeline, &mut self.cutter, self.timescale, (self.at, 1));
        self.at += 1;
    }

    fn described(&self) -> Rendition<'_> {
        let carries = match self.name {
            "v" => Carries::Video { resolution: (640, 360), frame_rate: Some((25, 1)) },
            name => Carries::Audio { language: Some(name), channels: 2 },
        };
        let bandwidth = Bandwidth { peak: self.bandwidth, average: self.bandwidth };
        Rendition { name: self.name, carries, codecs: "c", bandwidth }
    }
}

/// A channel with a picture and two sounds, of which one is not always there.
struct Run {
    fed: Vec<Fed>,
    shown: usize,
    headers: Vec<String>,
    protections: Vec<Option<Protection>>,
    streams: Vec<Stream>,
    seed: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let fed = vec![Fed::new("v", 90_000), Fed::new("a", 48_000), Fed::new("b", 44_100)];
        let (headers, protections) = (vec!["init-0.mp4".to_owned()], vec![None]);
        Self { fed, shown: 2, headers, protections, streams: Vec::new(), seed }
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33).is_multiple_of(many)
    }

    /// Feeds whichever is behind, so that no two renditions end a segment at once.
    fn step(&mut self) {
        let one = self.fed.iter_mut().min_by_key(|one| one.at).expect("there are three");
        one.feed();
        let is_even = self.fed.iter().all(|one| one.at == self.fed[0].at && one.at % 4 == 0);
        if is_even && self.one_in(12) {
            for one in &mut self.fed {
                one.timeline.add_gap();
                one.at += 4;
            }
        } else if is_even && self.one_in(16) {
            self.begin_anew();
        }
        if self.one_in(40) {
            self.fed[0].bandwidth += 10_000;
        }
        if self.one_in(150) {
            self.shown = 5 - self.shown;
        }
        if self.one_in(300) {
            let value = self.streams.len().to_string();
            self.streams.push(Stream { rendition: 0, scheme: "urn:a".to_owned(), value });
        }
        self.fed.iter_mut().for_each(|one| drop(one.timeline.trim(20_000_000)));
    }

    /// Another encoder, which counts from its start, with a header of its own.
    fn begin_anew(&mut self) {
        let header = u32::try_from(self.headers.len()).unwrap();
        self.headers.push(format!("init-{header}.mp4"));
        let protection = self.one_in(2).then(|| sample(*b"cenc"));
        self.protections.push(protection);
        for one in &mut self.fed {
            let last = one.timeline.segments().back().expect("something was fed");
            one.timeline.begin_anew(last.origin.unix_micros(last.end()) + 1_000_000);
            one.timeline.change_header(header);
            one.cutter = Cutter::new(lengths());
            one.at = 0;
        }
    }

    fn publish(&self, recent: &mut Recent, edition: Edition) -> bool {
        let described: Vec<_> = self.fed.iter().map(Fed::described).collect();
        let tracks = self.fed.iter().zip(&described).take(self.shown);
        let track = |(one, rendition)| {
            let Fed { timeline, .. }: &Fed = one;
            Track {
                rendition,
                timeline,
                headers: &self.headers,
                protections: &self.protections,
                extension: "m4s",
                streams: self.streams.iter().collect(),
            }
        };
        let tracks: Vec<_> = tracks.map(track).collect();
        let presentation =
            Presentation { tracks: &tracks, window_micros: 20_000_000, clock: "../clock" };
        let newest = tracks.iter().filter_map(|track| edition.newest(track.timeline));
        let Some(newest) = newest.map(|last| last.origin.unix_micros(last.end())).max() else {
            return false;
        };
        let body = body(&presentation, edition);
        let Some(published) = recent.next(edition.id(), &body, newest) else { return false };
        let head = head(&presentation, edition, (published.0, &published.1));
        recent.keep(published, &head, &body);
        true
    }
}

/// Whether the Periods that two manifests have in common have other renditions, or other segments
/// that are missing.
fn differ(old: &str, new: &str) -> bool {
    let periods = |text: &str| -> BTreeMap<String, Vec<String>> {
        let of = |period: &str| {
            let (id, _) = period.split_once('"').expect("an id");
            let lines = period.split("</Period>").next().unwrap_or_default().lines();
            let lines = lines.map(str::trim);
            let told = lines.filter(|line| {
                ["<Rep", "</Rep", "<FCS"].iter().any(|start| line.starts_with(start))
            });
            let told = told.map(|line| line.split(" bandwidth").next().unwrap_or(line).to_owned());
            (id.to_owned(), told.collect())
        };
        text.split("<Period id=\"").skip(1).map(of).collect()
    };
    let new = periods(new);
    periods(old).iter().any(|(id, of)| new.get(id).is_some_and(|now| now != of))
}

#[test]
fn every_patch_makes_of_an_older_manifest_the_newest_one() {
    let mut run = Run::new(7);
    for edition in [Edition::Plain, Edition::LowLatency] {
        let mut recent = Recent::default();
        let (mut made, mut small, mut periods) = (0, 0, 0);
        for _ in 0..700 {
            run.step();
            if !run.publish(&mut recent, edition) {
                continue;
            }
            let newest = recent.newest().unwrap();
            let expected = read(newest);
            periods = periods.max(newest.matches("<Period ").count());
            // The one before, an older one, and the oldest one.
            let older = recent.kept.iter().rev().skip(1).step_by(11);
            for kept in older {
                let patch = patch::patch(&kept.text, newest);
                assert_eq!(patch.is_none(), differ(&kept.text, newest), "{}{newest}", kept.text);
                let Some(patch) = patch else { continue };
                assert!(applied(&kept.text, &patch) == expected, "{}{patch}{newest}", kept.text);
                made += 1;
                small += usize::from(patch.len() < newest.len());
            }
        }
        let both = made > 400 && periods > 2 && small > made / 2;
        assert!(both, "{edition:?}: {made} patches, {small} small, {periods} periods");
    }
}

#[test]
fn each_manifest_has_a_time_and_a_name_of_its_own() {
    let mut run = Run::new(1);
    let (mut recent, mut names) = (Recent::default(), Vec::new());
    let mut last = i64::MIN;
    for _ in 0..400 {
        run.step();
        if run.publish(&mut recent, Edition::LowLatency) {
            let kept = recent.kept.back().unwrap();
            assert!(kept.published_millis > last);
            last = kept.published_millis;
            names.push(kept.patches.clone());
            assert!(kept.text.contains(&format!("\"60\">{}</PatchLocation>", kept.patches)));
        }
        // Nothing has happened since.
        assert!(!run.publish(&mut recent, Edition::LowLatency));
    }
    assert!(names.len() > 100 && recent.kept.len() == MPD_PATCHES_MAX);
    assert_eq!(recent.size, recent.kept.iter().map(|kept| kept.text.len()).sum::<usize>());
    let newest = names.pop().unwrap();
    assert_eq!(recent.patch(&newest), Known::Newest);
    let before = names.pop().unwrap();
    assert!(matches!(recent.patch(&before), Known::Patch(_)));
    assert_eq!(recent.patch(&names[0]), Known::Nothing);
    names.extend([newest, before]);
    names.sort_unstable();
    names.dedup();
    // What is told of them leads to the folder, where there is an answer for the others.
    let path = format!("/tv/news/{}", names[0]);
    assert_eq!(folder_of_patch(&path), Some("/tv/news/patch"));
    for path in ["/tv/news/patch", "/tv/news/patch/1.m4s", "/tv/news/v/1.mpp", "1.mpp"] {
        assert_eq!(folder_of_patch(path), None, "{path}");
    }
}

#[test]
fn what_is_too_large_is_not_kept() {
    let mut recent = Recent::default();
    let large = "x".repeat(MPD_PATCHES_SIZE_MAX / 2);
    for at in 0..4 {
        let body = format!("{large}{at}");
        let published = recent.next("live", &body, 0).expect("it is new");
        assert_eq!(published.0, at * 1000);
        let gone = recent.keep(published, "", &body);
        assert_eq!(gone.len(), usize::from(at > 0), "{at}");
    }
    assert_eq!(recent.kept.len(), 1);
}
