//! One line of the access log: nginx's combined shape, or a JSON object.
//!
//! Everything that a client sent is escaped as nginx does it: a quote, a backslash, and every byte
//! that is not printable ASCII becomes `\xHH`. So nobody can end a line, forge another one, or
//! write to a terminal.

use std::io::Write as _;
use std::net::IpAddr;

use crate::config::AccessLog;
use crate::messages::AccessRecord;
use crate::units::UnixTime;

use super::redact::{Redaction, Told};

/// Makes lines of one shape.
pub struct Lines {
    shape: AccessLog,
    redaction: Redaction,
}

impl Lines {
    /// Lines of this shape, without what is told to be secret; session hashes of this process.
    pub fn new(shape: AccessLog, told: Told) -> Self {
        Self { shape, redaction: Redaction::with(told) }
    }

    /// Appends the line of one request, with its end.
    pub fn append(&self, to: &mut Vec<u8>, record: &AccessRecord) {
        let request = self.redaction.request_line(first_line(&record.head));
        let referer = self.redaction.url(header(&record.head, b"referer").unwrap_or_default());
        let agent = header(&record.head, b"user-agent").unwrap_or_default();
        // Writing to memory does not fail.
        let _ = match self.shape {
            AccessLog::Json => {
                let session = self.redaction.session(first_line(&record.head));
                json(to, record, &request, &referer, agent, session)
            }
            AccessLog::Off | AccessLog::Combined => writeln!(
                to,
                "{} - - [{}] \"{}\" {} {} \"{}\" \"{}\"",
                peer(record.peer),
                local_time(record.at),
                escaped(&request),
                record.status,
                record.body_bytes,
                escaped_or_dash(&referer),
                escaped_or_dash(agent),
            ),
        };
    }
}

fn json(
    to: &mut Vec<u8>,
    record: &AccessRecord,
    request: &[u8],
    referer: &[u8],
    agent: &[u8],
    session: Option<String>,
) -> std::io::Result<()> {
    let line = serde_json::json!({
        "time": iso_time(record.at),
        "client": record.peer.map(|peer| peer.to_canonical().to_string()),
        "request": escaped(request),
        "status": record.status,
        "bytes": record.body_bytes,
        "seconds": std::time::Duration::from_nanos(record.nanos).as_secs_f64(),
        "aborted": record.aborted,
        "referer": escaped(referer),
        "agent": escaped(agent),
        "session": session,
    });
    writeln!(to, "{line}")
}

fn peer(peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| "-".to_owned(), |peer| peer.to_canonical().to_string())
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end()
}

/// The value of the first header of this name, which is given in lower case.
pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..32 | 127.. => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

fn escaped_or_dash(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { escaped(bytes) }
}

/// `22/Nov/2026:05:16:00 +0000`: as nginx writes it, always in UTC.
fn local_time(at: UnixTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = date(at);
    let seconds = at.0 % 86_400;
    format!(
        "{day:02}/{}/{year:04}:{:02}:{:02}:{:02} +0000",
        MONTHS[month - 1],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `2026-11-22T05:16:00Z`.
fn iso_time(at: UnixTime) -> String {
    let (year, month, day) = date(at);
    let seconds = at.0 % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Year, month from 1, day from 1 of the proleptic Gregorian calendar.
///
/// Days are counted from a 1 March, so that the leap day is the last one of its year; 400 years
/// are one cycle.
fn date(at: UnixTime) -> (u64, usize, u64) {
    let days = at.0 / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (400 * era + year + u64::from(month <= 2), usize::try_from(month).unwrap_or(1), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(head: &[u8]) -> AccessRecord {
        AccessRecord {
            at: UnixTime(1_795_324_560),
            peer: Some("::ffff:192.0.2.7".parse().unwrap()),
            head: head.into(),
            status: 200,
            body_bytes: 2048,
            nanos: 1_500_000,
            aborted: false,
        }
    }

    fn line(shape: AccessLog, head: &[u8]) -> String {
        let mut line = Vec::new();
        Lines::new(shape, Told::default()).append(&mut line, &record(head));
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_combined_line_has_the_shape_of_nginx() {
        let head = b"GET /vod/a/b.m3u8 HTTP/1.1\r\nHost: tv\r\nUSER-agent: VLC/3 \r\nReferer: http://x/\r\n\r\n";
        assert_eq!(
            line(AccessLog::Combined, head),
            "192.0.2.7 - - [22/Nov/2026:05:16:00 +0000] \"GET /vod/a/b.m3u8 HTTP/1.1\" 200 2048 \
             \"http://x/\" \"VLC/3\"\n"
        );
        assert!(
            line(AccessLog::Combined, b"GET / HTTP/1.0\r\n\r\n").ends_with("2048 \"-\" \"-\"\n")
        );
    }

    #[test]
    fn a_json_line_is_one_object() {
        let text = line(AccessLog::Json, b"GET /s/secret/x HTTP/1.1\r\nUser-Agent: a\"b\r\n\r\n");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["time"], "2026-11-22T05:16:00Z");
        assert_eq!(value["client"], "192.0.2.7");
        assert_eq!(value["seconds"], 0.0015);
        assert_eq!(value["agent"], "a\\x22b");
        let session = value["session"].as_str().unwrap();
        assert_eq!(value["request"], format!("GET /s/{session}/x HTTP/1.1"));
    }

    #[test]
    fn nothing_a_client_sends_ends_a_line_or_leaves_its_quotes() {
        for bad in [
            &b"\" 200 1 \"-\" \"x"[..],
            b"a\x1b[2J",
            b"a\x00b",
            b"a\rb",
            b"\\x22",
            b"\x85\xa0\xff",
            "\u{202e}\u{2028}".as_bytes(),
            b"x client: 1.2.3.4\x0bclient: 5.6.7.8",
        ] {
            let head = [
                b"GET /",
                bad,
                b" HTTP/1.1\r\nUser-Agent: ",
                bad,
                b"\r\nReferer: ",
                bad,
                b"\r\n\r\n",
            ]
            .concat();
            let combined = line(AccessLog::Combined, &head);
            assert_eq!(combined.matches('"').count(), 6, "{combined}");
            assert_eq!(combined.matches('\n').count(), 1, "{combined}");
            assert!(combined.trim_end().bytes().all(|byte| (32..127).contains(&byte)));
            let json = line(AccessLog::Json, &head);
            assert!(json.trim_end().bytes().all(|byte| (32..127).contains(&byte)));
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso_time(UnixTime(unix)), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_head_makes_one_line(head: Vec<u8>) {
            for shape in [AccessLog::Combined, AccessLog::Json] {
                let line = line(shape, &head);
                proptest::prop_assert_eq!(line.matches('\n').count(), 1);
                proptest::prop_assert!(line.ends_with('\n'));
            }
        }
    }
}
