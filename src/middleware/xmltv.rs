//! The guide of a set as XMLTV: channels by the ids that lists tell, then what is on.
//!
//! What comes is told for some days, and what was for channels of which it can be watched. Windows
//! begin with an hour, so that a guide is the same for a while.

use std::ops::ControlFlow;

use super::catalogue::Body;
use super::content::Channel;
use super::guide::{Programme, Reader};
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
        text.push_str("<channel id=\"");
        escape(&mut text, &channel.id);
        text.push_str("\"><display-name>");
        escape(&mut text, &channel.name);
        text.push_str("</display-name>");
        let logo = logo(of.base, channel);
        if !logo.is_empty() {
            text.push_str("<icon src=\"");
            escape(&mut text, &logo);
            text.push_str("\"/>");
        }
        text.push_str("</channel>\n");
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
        programmes.iter().for_each(|programme| programme_element(&mut text, id, programme));
        body.text().extend(text.bytes());
        body.end_long_entry();
        ControlFlow::Continue(())
    });
    if let Err(error) = written {
        tracing::error!(%error, "the guide can't be read");
    }
}

/// In the order of XMLTV's DTD.
fn programme_element(text: &mut String, channel: &str, of: &Programme) {
    let time = |at: UnixTime| {
        let digits: String = at.iso().chars().filter(char::is_ascii_digit).collect();
        digits + " +0000"
    };
    text.push_str(&format!(
        "<programme start=\"{}\" stop=\"{}\" channel=\"",
        time(of.start),
        time(of.stop)
    ));
    escape(text, channel);
    text.push_str("\">");
    let mut element = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("<{name}>"));
            escape(text, value);
            text.push_str(&format!("</{name}>"));
        }
    };
    element("title", if of.title.is_empty() { "-" } else { &of.title });
    element("sub-title", &of.sub_title);
    element("desc", &of.description);
    element("date", &of.date);
    of.categories.iter().for_each(|category| element("category", category));
    element("country", &of.country);
    text.push_str("</programme>\n");
}

/// A text within XML 1.0: no control characters, which it has not.
fn escape(text: &mut String, of: &str) {
    for character in of.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            other if other.is_control() => text.push(' '),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::fixture;

    #[test]
    fn a_programme_is_told_in_utc_and_escaped() {
        let mut text = String::new();
        let of = Programme {
            start: UnixTime(1_800_000_000),
            stop: UnixTime(1_800_003_600),
            title: "A & B".to_owned(),
            categories: vec!["<News>".to_owned()],
            ..Programme::default()
        };
        programme_element(&mut text, "news", &of);
        assert_eq!(
            text,
            "<programme start=\"20270115080000 +0000\" stop=\"20270115090000 +0000\" \
             channel=\"news\"><title>A &amp; B</title><category>&lt;News&gt;</category>\
             </programme>\n"
        );
    }

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
        assert!(text.contains("<display-name>The &quot;News&quot; #EXTINF, live</display-name>"));
    }
}
