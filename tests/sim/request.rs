//! What clients ask, and what of it they remember to judge the response.

use shardcast::messages::SourceId;
use shardcast::units::Extent;

use crate::content;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An object of a pack or a file of a folder.
    Object { path: String, inside: String },
    /// A growing object, by its whole path without the first slash.
    Growing { path: String },
    /// An answer of control, to a question with a body.
    Answer { number: u64, size: u64, body: Vec<u8> },
    /// Something that has always the same status.
    Fixed { status: u16 },
}

/// Ranges as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub wanted: Wanted,
    pub head_only: bool,
    pub http10: bool,
    pub closes: bool,
    pub gzip: bool,
    pub ranges: Vec<Asked>,
    pub known: Option<(SourceId, usize, bool)>,
    /// The bytes, once they are fixed.
    pub bytes: Vec<u8>,
    /// When its first byte was written.
    pub begun: u64,
}

impl Request {
    pub fn get(path: &str, inside: &str) -> Self {
        Self::of(Wanted::Object { path: path.to_owned(), inside: inside.to_owned() })
    }

    pub fn of(wanted: Wanted) -> Self {
        Self {
            wanted,
            head_only: false,
            http10: false,
            closes: false,
            gzip: false,
            ranges: Vec::new(),
            known: None,
            bytes: Vec::new(),
            begun: 0,
        }
    }

    pub fn growing(path: &str) -> Self {
        Self::of(Wanted::Growing { path: path.to_owned() })
    }

    /// A question to control; `ms` = when it is answered, if ever. Every third with a body asks
    /// whether it may go on, and does so anyway.
    pub fn ask(number: u64, size: u64, ms: Option<u64>, body: Vec<u8>, chunked: bool) -> Self {
        let answered = ms.map_or(String::new(), |ms| format!("&ms={ms}"));
        let target = format!("/api/q?number={number}&size={size}{answered}");
        let expect = if number.is_multiple_of(3) { "Expect: 100-continue\r\n" } else { "" };
        let mut bytes = match (body.is_empty(), chunked) {
            (true, _) => format!("GET {target} HTTP/1.1\r\nHost: tv\r\n\r\n"),
            (_, true) => {
                format!("POST {target} HTTP/1.1\r\nHost: tv\r\nTransfer-Encoding: chunked\r\n\r\n")
            }
            (_, false) => format!(
                "POST {target} HTTP/1.1\r\nHost: tv\r\n{expect}Content-Length: {}\r\n\r\n",
                body.len()
            ),
        }
        .into_bytes();
        if chunked && !body.is_empty() {
            for chunk in body.chunks(100) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&body);
        }
        Self { bytes, ..Self::of(Wanted::Answer { number, size, body }) }
    }

    /// Bytes that have always the same answer.
    pub fn fixed(bytes: &str, status: u16) -> Self {
        Self { bytes: bytes.as_bytes().to_vec(), ..Self::of(Wanted::Fixed { status }) }
    }

    /// The request as it is written.
    pub fn written(&self) -> Vec<u8> {
        if !self.bytes.is_empty() {
            return self.bytes.clone();
        }
        let target = match &self.wanted {
            Wanted::Object { path, inside } if inside.is_empty() => format!("/vod/{path}"),
            Wanted::Object { path, inside } => format!("/vod/{path}/{inside}"),
            Wanted::Growing { path } => path.clone(),
            Wanted::Answer { .. } | Wanted::Fixed { .. } => unreachable!("it has its bytes"),
        };
        let method = if self.head_only { "HEAD" } else { "GET" };
        let version = if self.http10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut head = format!("{method} {target} {version}\r\nHost: tv.example\r\n");
        if self.closes {
            head.push_str("Connection: close\r\n");
        }
        if self.gzip {
            head.push_str("Accept-Encoding: gzip\r\n");
        }
        if let Some((source, object, gzip)) = self.known {
            let tag = content::etag(source, object, gzip).wire();
            head.push_str(&format!("If-None-Match: {}\r\n", str::from_utf8(&tag).unwrap()));
        }
        if !self.ranges.is_empty() {
            let ranges: Vec<String> = self.ranges.iter().map(Asked::written).collect();
            head.push_str(&format!("Range: bytes={}\r\n", ranges.join(",")));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Asked {
    fn written(&self) -> String {
        match self {
            Self::From(first) => format!("{first}-"),
            Self::Between(first, last) => format!("{first}-{last}"),
            Self::Last(count) => format!("-{count}"),
        }
    }

    /// Which bytes of so many that is.
    fn extent(self, size: u64) -> Option<Extent> {
        let (first, end) = match self {
            Self::From(first) => (first, size),
            Self::Between(first, last) => (first, (last + 1).min(size)),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        (first < end).then(|| Extent { offset: first, size: end - first })
    }
}

/// What ranges select, said once more and slowly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    Whole,
    Ranges(Vec<Extent>),
    Nothing,
}

pub fn selected(asked: &[Asked], size: u64) -> Selected {
    if asked.is_empty() {
        return Selected::Whole;
    }
    // No Content-Range can name the end of an empty object: the range is as good as none.
    if size == 0 && asked.iter().any(|one| matches!(one, Asked::Last(1..))) {
        return Selected::Whole;
    }
    let found: Vec<Extent> = asked.iter().filter_map(|one| one.extent(size)).collect();
    let overlap =
        |a: &Extent, b: &Extent| a.offset < b.offset + b.size && b.offset < a.offset + a.size;
    for (number, one) in found.iter().enumerate() {
        if found[..number].iter().any(|other| overlap(one, other)) {
            return Selected::Whole;
        }
    }
    if found.is_empty() { Selected::Nothing } else { Selected::Ranges(found) }
}
