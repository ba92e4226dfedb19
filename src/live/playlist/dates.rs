//! `EXT-X-DATERANGE`: events of a channel as lines of its playlists (RFC 8216bis, 4.4.5.1).

use std::fmt::Write as _;

use super::super::events::splice::Direction;
use super::super::events::{Event, Says};
use super::{Date, Seconds, put};

/// The line of an event.
///
/// The in of a splice is a line of its own with the id and start of its out, which has been said:
/// a line does not change once it is there.
pub fn write(text: &mut String, event: &Event) {
    let (id, class) = (Quoted(&event.id), Quoted(&event.class));
    let start = Date(event.start_micros);
    put(text, format_args!("#EXT-X-DATERANGE:ID={id},CLASS={class},START-DATE=\"{start}\""));
    if let Some(end) = event.end_micros {
        put(text, format_args!(",END-DATE=\"{}\"", Date(end)));
    }
    if let Some(duration) = event.duration_micros {
        // Of an out nobody knows how long it takes before its in has come.
        let planned = matches!(event.says, Says::Splice(Direction::Out, _));
        let name = if planned { "PLANNED-DURATION" } else { "DURATION" };
        put(text, format_args!(",{name}={}", Seconds(duration)));
    }
    match &event.says {
        Says::Splice(direction, data) => {
            let name = match direction {
                Direction::Out => "SCTE35-OUT",
                Direction::In => "SCTE35-IN",
                Direction::Command => "SCTE35-CMD",
            };
            put(text, format_args!(",{name}={}", Hexadecimal(data)));
        }
        Says::Other(data) => {
            if !event.value().is_empty() {
                put(text, format_args!(",X-VALUE={}", Quoted(event.value())));
            }
            if !data.is_empty() {
                put(text, format_args!(",X-MESSAGE-DATA={}", Hexadecimal(data)));
            }
        }
    }
    text.push('\n');
}

/// A quoted string: it can't hold a quote or a line end, so those are left out.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'t>(pub &'t str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        let is_foreign = |letter: char| letter.is_control() || letter == '"';
        self.0.split(is_foreign).try_for_each(|piece| f.write_str(piece))?;
        f.write_char('"')
    }
}

/// A hexadecimal sequence.
#[derive(Clone, Copy, Debug)]
pub struct Hexadecimal<'b>(pub &'b [u8]);

impl std::fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("0x")?;
        // As often as there are parts this is written of everything that an encoder told of.
        let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
        self.0.chunks(32).try_for_each(|bytes| {
            let mut text = [0; 64];
            for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
                pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
            f.write_str(str::from_utf8(&text[..2 * bytes.len()]).expect("digits are ASCII"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::boxes::chunk::{At, Message};
    use super::super::super::events::{Events, Found};
    use super::super::super::fixture::MIDNIGHT;
    use super::super::super::time::Moment;
    use super::*;

    /// Scheme, value, second, duration in seconds, data.
    type Told<'t> = (&'t str, &'t str, u64, Option<u32>, &'t [u8]);

    /// The lines of these messages.
    fn lines(messages: &[Told<'_>]) -> String {
        let mut events = Events::default();
        let start = u64::try_from(MIDNIGHT / 2).unwrap();
        for (id, (scheme, value, second, duration, data)) in (1..).zip(messages) {
            let message = Message {
                scheme: (*scheme).to_owned(),
                value: (*value).to_owned(),
                timescale: 10,
                at: At::Time((start + second) * 10),
                duration: duration.map(|seconds| seconds * 10),
                id,
                data: (*data).into(),
            };
            let segment = Moment { ticks: MIDNIGHT / 2, timescale: 1 };
            events.take(&message, &Found { rendition: 0, zero_micros: 0, segment });
        }
        let mut text = String::new();
        events.listed().for_each(|event| write(&mut text, event));
        text
    }

    #[test]
    fn splices_are_written_as_the_specification_maps_them() {
        let scheme = "urn:scte:scte35:2013:bin";
        let insert = |flags: u8| {
            let head = [0xfc, 0x30, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0, 5, 0, 0, 0, 9, 0x7f];
            [&head[..], &[flags, 0x7f, 0, 1, 0, 0]].concat()
        };
        let (out, back) = (insert(0xcf), insert(0x4f));
        assert_eq!(
            lines(&[
                (scheme, "", 8, Some(30), &out),
                (scheme, "", 37, None, &back),
                (scheme, "", 90, None, &[0xfc, 0x30]),
            ]),
            "\
#EXT-X-DATERANGE:ID=\"scte35-9-1795651208000\",CLASS=\"urn:scte:scte35:2013:bin\",\
START-DATE=\"2026-11-26T00:00:08.000Z\",PLANNED-DURATION=30.0,\
SCTE35-OUT=0xFC301B00000000000000FFF00005000000097FCF7F00010000
#EXT-X-DATERANGE:ID=\"scte35-9-1795651208000\",CLASS=\"urn:scte:scte35:2013:bin\",\
START-DATE=\"2026-11-26T00:00:08.000Z\",END-DATE=\"2026-11-26T00:00:37.000Z\",\
SCTE35-IN=0xFC301B00000000000000FFF00005000000097F4F7F00010000
#EXT-X-DATERANGE:ID=\"scte35-0-1795651290000\",CLASS=\"urn:scte:scte35:2013:bin\",\
START-DATE=\"2026-11-26T00:01:30.000Z\",SCTE35-CMD=0xFC30
"
        );
    }

    #[test]
    fn what_encoders_say_stays_within_its_quotes() {
        let text = lines(&[("urn:x\"\n#EXT-X-ENDLIST", "a\rb\"", 0, Some(2), b"\0z")]);
        let (id, rest) = text.split_once(",CLASS").unwrap();
        assert!(id.starts_with("#EXT-X-DATERANGE:ID=\"event-"), "{text}");
        assert_eq!(
            rest,
            "=\"urn:x#EXT-X-ENDLIST\",START-DATE=\"2026-11-26T00:00:00.000Z\",DURATION=2.0,\
             X-VALUE=\"ab\",X-MESSAGE-DATA=0x007A\n"
        );
    }
}
