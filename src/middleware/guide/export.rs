//! The guide as others read it: XMLTV of a set of channels, piece by piece.
//!
//! Elements stand in the order of XMLTV's DTD. What is past is there only where it can be watched;
//! what comes, for as many days as are asked for. Nothing is ever whole in memory but what whoever
//! takes the pieces keeps.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use super::matching::Line;
use super::programme::Programme;
use super::read::Reader;
use super::store::StoreError;
use super::time::written;
use crate::units::UnixTime;

/// What windows begin with, in seconds, so that a guide is the same for a while.
const STEP_SECONDS: u64 = 3600;

/// A channel of a guide that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'c> {
    /// Our channel's id, and what programmes call it: the `tvg-id` of lists.
    pub id: &'c str,
    /// As people see it.
    pub name: &'c str,
    /// Where its logo is; empty = nowhere.
    pub icon: &'c str,
}

/// What a piece of a guide is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'p> {
    /// The beginning, or the end.
    Frame,
    /// The channel of this id.
    Channel(&'p str),
    /// What is on, on one channel.
    Programmes,
}

/// Writes the guide of these channels piece by piece: each channel, then what is on there in its
/// `window`. Without a reader there are channels alone.
///
/// # Errors
///
/// The store can't be read; what was written until then is whole.
pub fn write(
    reader: Option<&Reader>,
    channels: &[Listed<'_>],
    window: impl Fn(&str, &Line) -> (UnixTime, UnixTime),
    take: &mut dyn FnMut(&str, Piece<'_>),
) -> Result<(), StoreError> {
    let heading = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">\n\
                   <tv generator-info-name=\"shardcast\">\n";
    take(heading, Piece::Frame);
    let mut text = String::new();
    for channel in channels {
        channel_element(channel, &mut text);
        take(&text, Piece::Channel(channel.id));
        text.clear();
    }
    let ids = channels.iter().map(|of| of.id);
    let read = reader.map_or(Ok(()), |reader| {
        reader.each(ids, window, |id, _, programmes| {
            programmes.iter().for_each(|programme| programme_element(id, programme, &mut text));
            take(&text, Piece::Programmes);
            text.clear();
            ControlFlow::Continue(())
        })
    });
    take("</tv>\n", Piece::Frame);
    read
}

/// Of which time a channel is told: so much of the past, and so many days.
#[must_use]
pub fn window(archive_seconds: u64, now: UnixTime, days: u8) -> (UnixTime, UnixTime) {
    let hour = now.0 - now.0 % STEP_SECONDS;
    (UnixTime(hour.saturating_sub(archive_seconds)), UnixTime(hour + u64::from(days) * 86_400))
}

/// A channel, as it stands before all programmes.
fn channel_element(channel: &Listed<'_>, to: &mut String) {
    to.push_str("<channel id=\"");
    escaped(channel.id, to);
    to.push_str("\">");
    element("display-name", channel.name, to);
    icon(channel.icon, to);
    to.push_str("</channel>\n");
}

fn icon(address: &str, to: &mut String) {
    if !address.is_empty() {
        to.push_str("<icon src=\"");
        escaped(address, to);
        to.push_str("\"/>");
    }
}

fn element(name: &str, text: &str, to: &mut String) {
    let _ = write!(to, "<{name}>");
    escaped(text, to);
    let _ = write!(to, "</{name}>");
}

fn said(name: &str, text: &str, to: &mut String) {
    if !text.is_empty() {
        element(name, text, to);
    }
}

/// A programme of a channel, with its parts in the order of the DTD.
fn programme_element(channel: &str, of: &Programme, to: &mut String) {
    let (start, stop) = (written(of.start), written(of.stop));
    let _ = write!(to, "<programme start=\"{start}\" stop=\"{stop}\" channel=\"");
    escaped(channel, to);
    to.push_str("\"><title");
    if !of.language.is_empty() {
        to.push_str(" lang=\"");
        escaped(&of.language, to);
        to.push('"');
    }
    to.push('>');
    escaped(&of.title, to);
    to.push_str("</title>");
    said("sub-title", &of.sub_title, to);
    said("desc", &of.description, to);
    if !of.directors.is_empty() || !of.actors.is_empty() {
        to.push_str("<credits>");
        of.directors.iter().for_each(|name| said("director", name, to));
        of.actors.iter().for_each(|name| said("actor", name, to));
        to.push_str("</credits>");
    }
    said("date", &of.date, to);
    of.categories.iter().for_each(|category| said("category", category, to));
    icon(&of.icon, to);
    said("country", &of.country, to);
    for (system, text) in [("xmltv_ns", &of.episode), ("onscreen", &of.onscreen)] {
        if !text.is_empty() {
            let _ = write!(to, "<episode-num system=\"{system}\">");
            escaped(text, to);
            to.push_str("</episode-num>");
        }
    }
    for (is, name) in
        [(of.is_repeat, "previously-shown"), (of.is_premiere, "premiere"), (of.is_new, "new")]
    {
        if is {
            let _ = write!(to, "<{name}/>");
        }
    }
    if !of.rating.is_empty() {
        to.push_str("<rating");
        if !of.rating_system.is_empty() {
            to.push_str(" system=\"");
            escaped(&of.rating_system, to);
            to.push('"');
        }
        to.push('>');
        element("value", &of.rating, to);
        to.push_str("</rating>");
    }
    if !of.star_rating.is_empty() {
        to.push_str("<star-rating>");
        element("value", &of.star_rating, to);
        to.push_str("</star-rating>");
    }
    to.push_str("</programme>\n");
}

/// A text as XML has it (XML 1.0, 2.2 and 2.4), without what it has no place for.
fn escaped(text: &str, to: &mut String) {
    for one in text.chars() {
        match one {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\n' | '\t' => to.push(one),
            '\u{fffe}' | '\u{ffff}' => {}
            one if one.is_control() => {}
            one => to.push(one),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::config::GUIDE_DAYS;
    use crate::middleware::guide::Guide;
    use crate::middleware::guide::import::{Order, import};
    use crate::middleware::guide::matching::{Ours, Source, lines};
    use crate::middleware::guide::store::{Kept, Reading, Store};
    use crate::middleware::guide::unpack::Progress;
    use crate::middleware::guide::xmltv::{Guide as Read, Item};
    use crate::middleware::gzip::{self, Block};

    use crate::units::{ETag, KIB, Tagger};

    pub const NOW: UnixTime = UnixTime(1_795_780_800);

    /// A guide of two channels, of which the first can be watched for two hours back.
    pub fn guide(state: &Path) -> Reader {
        let mut text = String::from("<tv><channel id=\"a\"/><channel id=\"b\"/>");
        for channel in ["a", "b"] {
            for hour in -5..100_i64 {
                let at = |hour: i64| written(UnixTime(NOW.0.saturating_add_signed(hour * 3600)));
                let (start, stop) = (at(hour), at(hour + 1));
                let _ = write!(
                    text,
                    "<programme channel=\"{channel}\" start=\"{start}\" stop=\"{stop}\">\
                     <title lang=\"de\">{channel} &lt;{hour}&gt; &amp; \"x\"</title>\
                     <sub-title>s</sub-title>\
                     <desc>é\n]]&gt;</desc>\
                     <credits><actor>A</actor><director>D</director></credits>\
                     <date>2026</date><category>News</category><icon src=\"http://e/?a&amp;b\"/>\
                     <country>DE</country><episode-num system=\"xmltv_ns\">0.1.</episode-num>\
                     <episode-num system=\"onscreen\">S1E2</episode-num>\
                     <previously-shown/><premiere/>\
                     <new/><live/><rating system=\"FSK\"><value>12</value></rating>\
                     <star-rating><value>7/10</value></star-rating></programme>"
                );
            }
        }
        text.push_str("</tv>");
        let path = state.join("guide.xml");
        std::fs::write(&path, text).unwrap();
        let mut store = Store::open(state).unwrap();
        let reading = Reading::open(state).unwrap();
        let order = Order {
            source: "s",
            kept: Kept::default(),
            path: &path,
            offset_minutes: 0,
            unpacked_max: 1 << 30,
            progress: &Progress::default(),
            past_seconds: &|_| 0,
            now: NOW,
        };
        import(&mut store, &reading, &order).unwrap();
        let edition = reading.kept("s").unwrap().unwrap().edition.unwrap();
        let channels = reading.channels(edition).unwrap();
        let sources = [Source { id: "s".to_owned(), channels }];
        let ours = |id: &str, archive_seconds| Ours {
            id: id.to_owned(),
            name: id.to_uppercase(),
            archive_seconds,
            ..Ours::default()
        };
        let guide = Guide::new(state);
        guide.publish(lines(&[ours("a", 7200), ours("b", 0), ours("c", 0)], &sources, 1));
        guide.reader().unwrap()
    }

    const CHANNELS: [Listed<'_>; 3] = [
        Listed { id: "b", name: "B & <b>", icon: "https://e/b.png?a=1&b=\"2\"" },
        Listed { id: "a", name: "A", icon: "" },
        Listed { id: "c", name: "C", icon: "" },
    ];

    /// Bytes of text at which a block ends.
    const BLOCK_SIZE: usize = 256 * KIB;

    /// A guide as one gzip member.
    #[derive(Debug, PartialEq, Eq)]
    struct Body {
        blocks: Vec<Block>,
        etag: ETag,
        size: u64,
    }

    fn body(reader: &Reader, channels: &[Listed<'_>], (now, days): (UnixTime, u8)) -> Body {
        let (mut blocks, mut tagger, mut text) = (Vec::new(), Tagger::default(), String::new());
        let mut size = 0;
        let window = |_: &str, line: &Line| window(line.archive_seconds, now, days);
        write(Some(reader), channels, window, &mut |piece, _| {
            tagger.update(piece.as_bytes());
            size += piece.len() as u64;
            text.push_str(piece);
            if text.len() >= BLOCK_SIZE {
                blocks.push(Block::compressed(text.as_bytes(), 6));
                text.clear();
            }
        })
        .unwrap();
        blocks.push(Block::compressed(text.as_bytes(), 6));
        Body { blocks, etag: tagger.tag(), size }
    }

    fn plain(body: &Body) -> String {
        let mut text = String::new();
        let gzipped = gzip::member(&body.blocks);
        flate2::read::GzDecoder::new(gzipped.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, body.size);
        text
    }

    #[test]
    fn a_guide_has_the_past_only_where_it_can_be_watched_and_as_many_days_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let reader = guide(folder.path());
        let later = UnixTime(NOW.0 + 1800);
        let one = body(&reader, &CHANNELS, (later, 1));
        assert_eq!(one, body(&reader, &CHANNELS, (NOW, 1)), "the same within an hour");
        assert_ne!(one.etag, body(&reader, &CHANNELS, (NOW, 2)).etag);
        let mut read = Read::new(plain(&one).as_bytes().to_vec().leak() as &[u8], 0).unwrap();
        let (mut channels, mut starts) = (Vec::new(), Vec::new());
        while let Some(item) = read.next_item().unwrap() {
            match item {
                Item::Channel { xmltv, names, icon } => channels.push((xmltv, names, icon)),
                Item::Programme { xmltv, programme } => {
                    starts.push((
                        xmltv,
                        (programme.start.0.cast_signed() - NOW.0.cast_signed()) / 3600,
                    ));
                    assert_eq!(programme.description, "é\n]]>");
                    assert_eq!(programme.icon, "http://e/?a&b");
                }
                Item::Skipped { line, why } => panic!("{line}: {why}"),
            }
        }
        assert_eq!(channels[0].1, ["B & <b>"]);
        assert_eq!(channels[0].2, "https://e/b.png?a=1&b=\"2\"");
        let hours = |id: &str| -> Vec<_> {
            starts.iter().filter(|(channel, _)| channel == id).map(|(_, hour)| *hour).collect()
        };
        assert_eq!(hours("a"), (-2..24).collect::<Vec<_>>());
        assert_eq!(hours("b"), (0..24).collect::<Vec<_>>());
        assert_eq!(starts[0].0, "b", "in the order of the set");
        assert!(hours("c").is_empty());
    }

    /// The reader that looks is libxml2's, and the structure that of XMLTV's DTD.
    #[test]
    fn an_independent_reader_finds_it_valid() {
        let folder = tempfile::tempdir().unwrap();
        let reader = guide(folder.path());
        let path = folder.path().join("out.xml");
        let text = plain(&body(&reader, &CHANNELS, (NOW, GUIDE_DAYS)));
        std::fs::write(&path, &text).unwrap();
        let dtd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/xmltv.dtd");
        let check = |path: &Path| {
            let arguments = ["--noout", "--nonet", "--dtdvalid"];
            Command::new("xmllint").args(arguments).arg(&dtd).arg(path).output().unwrap()
        };
        let said = check(&path);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        // It does look: with two parts turned it is not.
        let turned = text.replace(
            "<date>2026</date><category>News</category>",
            "<category>News</category><date>2026</date>",
        );
        assert_ne!(turned, text);
        std::fs::write(&path, turned).unwrap();
        assert!(!check(&path).status.success());
    }
}
