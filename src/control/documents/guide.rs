//! What documents of guides' sources say, and of channels in them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Checked, id, read, text, whole};
use crate::config::guide::{
    Address, GUIDE_REFRESH_MS_MAX, GUIDE_REFRESH_MS_MIN, GUIDE_SHIFT_MINUTES_MAX, is_file_name,
};
use crate::config::values;
use crate::control::registry::Kind;

/// Where a guide is read: `url` or `file`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuideSource {
    /// As people see it.
    #[serde(default)]
    #[schema(max_length = 1024)]
    name: String,
    /// An http or https address of XMLTV: plain, or as .gz, .xz or .zip. Whoever may read this sees
    /// all of it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    url: Option<String>,
    /// A file of the server's machine, below `guide.folder`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    file: Option<String>,
    /// Of sources that speak of the same channel the one with the smallest counts, and the others
    /// fill what it leaves open; of equal ones the first by its id.
    #[serde(default)]
    order: i32,
    /// How often it is looked at, as `6h`; none = as `guide.refresh` says.
    #[serde(default)]
    #[schema(examples("6h"))]
    refresh: Option<String>,
    /// Minutes that times are ahead of UTC which say no offset.
    #[serde(default)]
    #[schema(minimum = -840, maximum = 840)]
    offset_minutes: i32,
    /// It is not looked at by itself; what it said before counts.
    #[serde(default)]
    paused: bool,
}

/// By what a channel is found in guides; its id is the channel's. Without one it is found by its id
/// and its name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuideChannel {
    /// What guides call it; none = it is found by itself.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    xmltv: Option<String>,
    /// Only in this source; none = in whichever has it.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9_-][a-z0-9_.-]*$", max_length = 128)]
    source: Option<String>,
    /// Its programmes are moved by so many minutes.
    #[serde(default)]
    #[schema(minimum = -1440, maximum = 1440)]
    shift_minutes: i32,
    /// It has no guide, whatever is found.
    #[serde(default)]
    off: bool,
}

/// Most minutes that a place is ahead of UTC.
const OFFSET_MINUTES_MAX: i32 = 14 * 60;

/// See `documents::checked`.
pub(super) fn checked(kind: Kind, document: Value) -> Result<Checked, String> {
    if kind == Kind::GuideChannel { of_channel(document) } else { of_source(document) }
}

fn of_source(document: Value) -> Result<Checked, String> {
    let source: GuideSource = read(document)?;
    text("name", &source.name, 0)?;
    match (&source.url, &source.file) {
        (Some(url), None) => {
            text("url", url, 1)?;
            Address::of_text(url).map_err(|why| format!("url: {why}"))?;
        }
        (None, Some(file)) if is_file_name(file) => {}
        (None, Some(_)) => {
            return Err(
                "file: it is no file below guide.folder (write \"guide.xml.gz\")".to_owned()
            );
        }
        _ => return Err("it is to have a url or a file, and not both".to_owned()),
    }
    if let Some(refresh) = &source.refresh {
        let ms = values::duration_ms(refresh).map_err(|why| format!("refresh: {why}"))?;
        if !(GUIDE_REFRESH_MS_MIN..=GUIDE_REFRESH_MS_MAX).contains(&ms) {
            return Err(format!("refresh: {refresh:?} is not between \"5m\" and \"7d\""));
        }
    }
    if source.offset_minutes.unsigned_abs() > OFFSET_MINUTES_MAX.unsigned_abs() {
        return Err("offset_minutes: no place is more than 840 minutes ahead of UTC".to_owned());
    }
    whole(&source, Vec::new())
}

/// The channel itself may come and go: what was said of its guide is there when it comes again.
fn of_channel(document: Value) -> Result<Checked, String> {
    let channel: GuideChannel = read(document)?;
    if let Some(xmltv) = &channel.xmltv {
        text("xmltv", xmltv, 1)?;
    }
    if let Some(source) = &channel.source {
        id(Kind::GuideSource, source).map_err(|why| format!("source: {why}"))?;
    }
    if channel.source.is_some() && channel.xmltv.is_none() {
        return Err("source: it says where xmltv is looked for, which is not there".to_owned());
    }
    if channel.shift_minutes.unsigned_abs() > GUIDE_SHIFT_MINUTES_MAX.unsigned_abs() {
        return Err(format!("shift_minutes: it is more than {GUIDE_SHIFT_MINUTES_MAX} either way"));
    }
    whole(&channel, Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_says_where_it_is_and_nothing_that_leads_elsewhere() {
        for (document, wrong) in [
            (json!({ "url": "https://epg.example.org/a.xml.gz", "refresh": "6h" }), None),
            (json!({ "file": "de/a.xml", "order": -1, "offset_minutes": 60 }), None),
            (json!({}), Some("a url or a file")),
            (json!({ "url": "http://a/", "file": "a" }), Some("a url or a file")),
            (json!({ "url": "file:///etc/passwd" }), Some("url: it is no URL")),
            (json!({ "url": "ftp://a/b" }), Some("url: it is not of http")),
            (json!({ "url": "http://anna:x@a/" }), Some("a login in it")),
            (json!({ "file": "../../etc/passwd" }), Some("file: it is no file below")),
            (json!({ "file": "/etc/passwd" }), Some("file: it is no file below")),
            (json!({ "url": "http://a/", "refresh": "1s" }), Some("refresh: \"1s\"")),
            (json!({ "url": "http://a/", "offset_minutes": 900 }), Some("offset_minutes")),
            (json!({ "url": "http://a/", "colour": 1 }), Some("colour")),
        ] {
            let outcome = checked(Kind::GuideSource, document.clone()).err();
            let is_right = match (&outcome, wrong) {
                (None, None) => true,
                (Some(why), Some(wrong)) => why.contains(wrong),
                _ => false,
            };
            assert!(is_right, "{document}: {outcome:?}");
        }
    }

    #[test]
    fn a_channel_is_found_by_one_name_and_moved_by_a_day_at_most() {
        for (document, is_good) in [
            (json!({ "xmltv": "news.example", "source": "a", "shift_minutes": -60 }), true),
            (json!({ "off": true }), true),
            (json!({ "source": "a" }), false),
            (json!({ "xmltv": "" }), false),
            (json!({ "shift_minutes": 1441 }), false),
            (json!({ "xmltv": "a", "source": "../a" }), false),
        ] {
            assert_eq!(
                checked(Kind::GuideChannel, document.clone()).is_ok(),
                is_good,
                "{document}"
            );
        }
    }
}
