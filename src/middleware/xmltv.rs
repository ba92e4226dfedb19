//! The guide of a set as XMLTV: channels by the ids that lists tell, then what is on.
//!
//! What comes is told for some days, and what was for channels of which it can be watched. Windows
//! begin with an hour, so that a guide is the same for a while.

use ahash::AHashMap;

use super::catalogue::Body;
use super::content::Channel;
use super::guide::Reader;
use super::guide::export::{self, Listed, Piece};
use super::xtream::write::{Of, logo};
use crate::units::UnixTime;

const XML: &str = "application/xml";

/// Writes the guide of what a set holds; without a reader, and where that fails, of channels alone.
pub fn write(
    of: &Of<'_>,
    programmes: Option<&Reader>,
    (now, days): (UnixTime, u8),
    body: &mut Body,
) -> &'static str {
    let channels = &of.held.channels;
    let icons: Vec<_> = channels.iter().map(|channel| logo(of.base, channel)).collect();
    let listed = channels.iter().zip(&icons).map(|(channel, icon)| Listed {
        id: &channel.id,
        name: &channel.name,
        icon,
    });
    let listed: Vec<_> = listed.collect();
    let back = |channel: &Channel| u64::from(of.held.archive_days(channel)) * 86_400;
    let back: AHashMap<&str, u64> =
        channels.iter().map(|channel| (&*channel.id, back(channel))).collect();
    let window =
        |id: &str, _: &_| export::window(back.get(id).copied().unwrap_or_default(), now, days);
    let written = export::write(programmes, &listed, window, &mut |text, piece| {
        body.text().extend(text.bytes());
        match piece {
            Piece::Frame => {}
            Piece::Channel(id) => body.end_entry(id.as_bytes()),
            Piece::Programmes => body.end_long_entry(),
        }
    });
    if let Err(error) = written {
        tracing::error!(%error, "the guide can't be read");
    }
    XML
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::fixture;

    #[test]
    fn channels_are_told_by_the_ids_of_lists() {
        let content = fixture::content();
        let held = content.held(&content.set_of("all"));
        let mut body = Body::default();
        let of = Of { content: &content, held: &held, base: "http://tv" };
        write(&of, None, (UnixTime(1_800_000_000), 3), &mut body);
        let text = String::from_utf8(body.plain()).unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let read = roxmltree::Document::parse_with_options(&text, options).unwrap();
        let channels = read.root_element().children().filter(roxmltree::Node::is_element);
        let ids: Vec<_> = channels.map(|of| of.attribute("id").unwrap()).collect();
        assert_eq!(ids, ["news", "sport"]);
        assert!(text.contains("<display-name>The &quot;News&quot;\n#EXTINF, live</display-name>"));
    }
}
