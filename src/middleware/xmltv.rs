//! The guide of a set as XMLTV: channels by the ids that lists tell, then what is on.
//!
//! What comes is told for some days, and what was for channels of which it can be watched. Windows
//! begin with an hour, so that a guide is the same for a while.

use std::ops::ControlFlow;

use super::catalogue::Body;
use super::content::Channel;
use super::guide::Reader;
use super::guide::export::{Listed, channel_element, programme_element};
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
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">\n\
         <tv generator-info-name=\"shardcast\">\n",
    );
    for channel in &of.held.channels {
        let icon = logo(of.base, channel);
        let listed = Listed { id: &channel.id, name: &channel.name, icon: &icon };
        channel_element(&listed, &mut text);
        body.text().extend(text.bytes());
        text.clear();
        body.end_entry(channel.id.as_bytes());
    }
    if let Some(reader) = programmes {
        write_programmes(of, reader, (now, days), body);
    }
    text.push_str("</tv>\n");
    body.text().extend(text.bytes());
    XML
}

fn write_programmes(of: &Of<'_>, reader: &Reader, (now, days): (UnixTime, u8), body: &mut Body) {
    let hour = now.0 - now.0 % 3600;
    let until = UnixTime(hour + u64::from(days) * 86_400);
    let from = |channel: &Channel| {
        UnixTime(hour.saturating_sub(u64::from(of.held.archive_days(channel)) * 86_400))
    };
    let windows = of.held.channels.iter().map(|channel| (&*channel.id, from(channel)));
    let windows: std::collections::HashMap<_, _> = windows.collect();
    let ids = of.held.channels.iter().map(|channel| &*channel.id);
    let window = |id: &str, _: &_| (windows.get(id).copied().unwrap_or(now), until);
    let written = reader.each(ids, window, |id, _, programmes| {
        let mut text = String::new();
        programmes.iter().for_each(|programme| programme_element(id, programme, &mut text));
        body.text().extend(text.bytes());
        body.end_long_entry();
        ControlFlow::Continue(())
    });
    if let Err(error) = written {
        tracing::error!(%error, "the guide can't be read");
    }
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
