//! `epg_listings` of the Xtream-compatible API: what is on a channel, with the types that apps
//! insist on. Titles and descriptions are base64, times are texts in UTC and epochs as strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::programme::Programme;
use super::read::Reader;
use super::store::StoreError;
use crate::config::{GUIDE_DAYS_MAX, SHORT_GUIDE, SHORT_GUIDE_MAX};
use crate::units::UnixTime;

/// How far ahead `get_short_epg` looks, in seconds.
const SHORT_WITHIN_SECONDS: u64 = 7 * 86_400;

/// How far back `get_simple_data_table` goes where nothing can be watched, in seconds.
const PAST_SECONDS: u64 = 86_400;

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listings {
    /// In the order of their starts.
    pub epg_listings: Vec<Listing>,
}

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Its own: made of the channel's number and its start.
    pub id: String,
    /// The channel's number.
    pub epg_id: String,
    /// Base64.
    pub title: String,
    /// The language of the title.
    pub lang: String,
    /// `YYYY-MM-DD HH:MM:SS` in UTC, as `server_info.timezone` says.
    pub start: String,
    /// The same.
    pub end: String,
    /// Base64.
    pub description: String,
    /// What the guide calls the channel: its id.
    pub channel_id: String,
    /// Seconds since 1970.
    pub start_timestamp: String,
    /// The same.
    pub stop_timestamp: String,
    /// The channel's number.
    pub stream_id: String,
    /// 1 = it is on; only in the whole table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now_playing: Option<u8>,
    /// 1 = it can be watched although it is past; only in the whole table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_archive: Option<u8>,
}

/// What is on now, and what comes then: `get_short_epg`.
///
/// # Errors
///
/// The store can't be read.
pub fn short(
    reader: &Reader,
    (channel, number): (&str, u32),
    limit: Option<usize>,
    now: UnixTime,
) -> Result<Listings, StoreError> {
    let window = (now, UnixTime(now.0.saturating_add(SHORT_WITHIN_SECONDS)));
    let mut programmes = reader.programmes(channel, window)?;
    programmes.truncate(limit.unwrap_or(SHORT_GUIDE).clamp(1, SHORT_GUIDE_MAX));
    let listing = |of: &Programme| listing(of, channel, number);
    Ok(Listings { epg_listings: programmes.iter().map(listing).collect() })
}

/// All that is known of a channel, with the past that can be watched: `get_simple_data_table`.
///
/// # Errors
///
/// The store can't be read.
pub fn table(
    reader: &Reader,
    (channel, number): (&str, u32),
    archive_seconds: u64,
    now: UnixTime,
) -> Result<Listings, StoreError> {
    let from = now.0.saturating_sub(archive_seconds.max(PAST_SECONDS));
    let window =
        (UnixTime(from), UnixTime(now.0.saturating_add(u64::from(GUIDE_DAYS_MAX) * 86_400)));
    let kept_from = now.0.saturating_sub(archive_seconds);
    let listing = |of: &Programme| Listing {
        now_playing: Some(u8::from(of.start <= now && of.stop > now)),
        has_archive: Some(u8::from(of.stop <= now && of.start.0 >= kept_from)),
        ..listing(of, channel, number)
    };
    let programmes = reader.programmes(channel, window)?;
    Ok(Listings { epg_listings: programmes.iter().map(listing).collect() })
}

fn listing(of: &Programme, channel: &str, number: u32) -> Listing {
    let (start, stop) = (of.start, of.stop);
    Listing {
        id: (u64::from(number) * 100_000_000_000 + start.0).to_string(),
        epg_id: number.to_string(),
        title: STANDARD.encode(&of.title),
        lang: of.language.clone(),
        start: text(start),
        end: text(stop),
        description: STANDARD.encode(&of.description),
        channel_id: channel.to_owned(),
        start_timestamp: start.0.to_string(),
        stop_timestamp: stop.0.to_string(),
        stream_id: number.to_string(),
        now_playing: None,
        has_archive: None,
    }
}

/// `YYYY-MM-DD HH:MM:SS`.
fn text(time: UnixTime) -> String {
    time.iso().replace('T', " ").replace('Z', "")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::export::tests::{NOW, guide};
    use super::*;

    fn told(listings: &Listings) -> Value {
        serde_json::to_value(listings).unwrap()
    }

    #[test]
    fn what_is_on_and_comes_next_has_the_types_that_apps_insist_on() {
        let folder = tempfile::tempdir().unwrap();
        let reader = guide(folder.path());
        let now = UnixTime(NOW.0 + 1800);
        let listings = told(&short(&reader, ("a", 7), None, now).unwrap());
        let all = listings["epg_listings"].as_array().unwrap();
        assert_eq!(all.len(), SHORT_GUIDE);
        assert_eq!(
            all[0],
            json!({
                "id": "701795780800",
                "epg_id": "7",
                "title": STANDARD.encode("a <0> & \"x\""),
                "lang": "de",
                "start": "2026-11-27 12:00:00",
                "end": "2026-11-27 13:00:00",
                "description": STANDARD.encode("é\n]]>"),
                "channel_id": "a",
                "start_timestamp": "1795780800",
                "stop_timestamp": "1795784400",
                "stream_id": "7",
            })
        );
        let two = short(&reader, ("a", 7), Some(2), now).unwrap().epg_listings;
        assert_eq!(two.len(), 2);
        assert_eq!(short(&reader, ("a", 7), Some(0), now).unwrap().epg_listings.len(), 1);
        // An app that gets nothing gets an empty list.
        assert_eq!(
            told(&short(&reader, ("c", 9), None, now).unwrap()),
            json!({ "epg_listings": [] })
        );
        assert_eq!(
            told(&short(&reader, ("none", 9), None, now).unwrap()),
            json!({ "epg_listings": [] })
        );
    }

    #[test]
    fn the_whole_table_says_what_is_on_and_what_can_be_watched_again() {
        let folder = tempfile::tempdir().unwrap();
        let reader = guide(folder.path());
        let now = UnixTime(NOW.0 + 1800);
        let marks = |archive| -> Vec<_> {
            let listings = table(&reader, ("a", 7), archive, now).unwrap().epg_listings;
            assert_eq!(listings.len(), 105);
            listings.iter().map(|of| (of.now_playing.unwrap(), of.has_archive.unwrap())).collect()
        };
        let marked = marks(9000);
        assert_eq!(marked[..7], [(0, 0), (0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (0, 0)]);
        assert!(marks(0).iter().all(|(_, has_archive)| *has_archive == 0));
    }
}
