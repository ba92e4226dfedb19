//! HLS of what is past: tracks in, the bytes of a playlist out (RFC 8216bis).
//!
//! Whole segments only, protocol version 6: any player can read it.

use super::address::MEDIA;
use super::excerpt::Form;
use super::tracks::{Track, Tracks};
use crate::live::playlist::hls::segment_name;
use crate::live::playlist::name::target_of;
use crate::live::playlist::{Date, Seconds, keys, multivariant, put};
use crate::live::record::{Header, Kept};

/// The multivariant playlist.
#[must_use]
pub fn multivariant(tracks: &Tracks) -> String {
    let renditions: Vec<_> = tracks.tracks.iter().map(|track| track.of.described()).collect();
    multivariant::multivariant(&renditions, MEDIA)
}

/// `EXT-X-TARGETDURATION` of every rendition: the length of segments to the nearest second, which
/// never changes. Of what is complete it is that of the longest segment, should one be longer:
/// nobody reads that a second time.
#[must_use]
pub fn target_seconds(tracks: &Tracks, form: Form) -> u64 {
    let nominal = tracks.tracks.iter().map(|track| target_of(track.of.lengths.segment));
    let nominal = nominal.max().unwrap_or(1);
    if form != Form::Complete {
        return nominal;
    }
    let all = tracks.tracks.iter().flat_map(|track| &track.of.segments);
    let longest = all.map(micros).max().unwrap_or(0);
    nominal.max((longest + 500_000) / 1_000_000)
}

/// A rendition's playlist; `up` is the way from it to the channel's folder.
#[must_use]
pub fn media(track: &Track, form: Form, target: u64, up: &str) -> String {
    let of = &track.of;
    let mut text = String::with_capacity(512 + 64 * of.segments.len());
    let head = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:";
    put(&mut text, format_args!("{head}{target}\n"));
    match form {
        Form::Complete => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
        // Players of what is live begin at its end; this is watched from its start.
        Form::Growing => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n"),
        Form::Sliding => {}
    }
    put(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:{}\n", track.media_sequence));
    if track.discontinuity_sequence > 0 {
        let sequence = track.discontinuity_sequence;
        put(&mut text, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}\n"));
    }
    let mut cuts = track.cuts.iter().filter(|&&cut| cut > 0).peekable();
    let mut before: Option<&Kept> = None;
    for (at, kept) in of.segments.iter().enumerate() {
        let mut is_first = at == 0;
        // Another rendition may have had more of them, with nothing of this one between.
        while cuts.next_if(|&&cut| cut == at).is_some() {
            text.push_str("#EXT-X-DISCONTINUITY\n");
            is_first = true;
        }
        // Behind a discontinuity all that holds is said again.
        if is_first {
            let before = before.and_then(|before| of.protection(before.header));
            keys::write_change(&mut text, before, of.protection(kept.header));
        }
        if is_first && let Some(Header { name, .. }) = of.headers.get(kept.header as usize) {
            put(&mut text, format_args!("#EXT-X-MAP:URI=\"{up}{}/{name}\"\n", of.name));
        }
        let (start, _) = kept.unix_micros();
        // So it is where something is left out, as of a segment that was torn.
        if is_first || before.is_none_or(|before| before.unix_micros().1.abs_diff(start) > 1000) {
            put(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}\n", Date(start)));
        }
        if kept.is_gap() {
            text.push_str("#EXT-X-GAP\n");
        }
        let name = segment_name(kept.number, kept.container().extension());
        let duration = Seconds(micros(kept));
        put(&mut text, format_args!("#EXTINF:{duration},\n{up}{}/{name}\n", of.name));
        before = Some(kept);
    }
    if form == Form::Complete {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// How long a segment is. Two moments are rounded, never a length: sums stay exact.
fn micros(kept: &Kept) -> u64 {
    let (start, end) = kept.unix_micros();
    end.abs_diff(start)
}
