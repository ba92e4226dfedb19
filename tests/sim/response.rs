//! Responses, read strictly and judged against the truth: status, fields, framing, every byte.

use shardcast::messages::SourceId;
use shardcast::units::{Extent, media_type};

use crate::content::{self, SourceModel};
use crate::library::Told;
use crate::pipe::{Pipe, Run};
use crate::request::{Request, Selected, Wanted, selected};
use crate::world::World;

/// What must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Exactly(Vec<u8>),
    /// These bytes of a source.
    Source { source: SourceId, offset: u64, size: u64 },
    /// So many bytes of any kind.
    Text(u64),
}

/// How the body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Part by part, the last one first.
    Parts(Vec<Part>),
    /// As a growing object.
    Growing { path: String, chunked: bool, at: u64, frame: Frame },
}

/// Where the chunks of a growing object stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// In a line of this much framing.
    Line(Vec<u8>),
    /// In a chunk with so many bytes to come.
    Inside(u64),
    /// Without chunks.
    Raw,
}

/// How far the reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    Head(Vec<u8>),
    Body { body: Body, status: u16, last: bool },
}

impl Default for Reader {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

/// A response that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    pub status: u16,
    /// Nothing may follow it.
    pub last: bool,
}

/// A head: status and fields.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "a head that is not text")?;
        let mut lines = text.strip_suffix("\r\n\r\n").ok_or("no empty line")?.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.split(' ').next()?.parse().ok());
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(": ").ok_or(format!("a bad line: {line:?}"))?;
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Ok(Self { status: status.ok_or(format!("a bad status line: {text:?}"))?, fields })
    }

    pub fn field(&self, name: &str) -> Result<Option<&str>, String> {
        let mut found = self.fields.iter().filter(|(of, _)| of == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(format!("{name} twice")),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }

    fn must(&self, name: &str, wanted: &str) -> Result<(), String> {
        match self.field(name)? {
            Some(value) if value == wanted => Ok(()),
            other => Err(format!("{name} is {other:?}, not {wanted:?}")),
        }
    }

    fn size(&self) -> Result<u64, String> {
        let size = self.field("content-length")?.ok_or("no Content-Length")?;
        size.parse().map_err(|_| format!("Content-Length: {size:?}"))
    }
}

impl Reader {
    /// Reads on; gives a response that has come to its end.
    pub fn read(
        &mut self,
        input: &mut Pipe,
        request: Option<&Request>,
        world: &World,
    ) -> Result<Option<Whole>, String> {
        if let Self::Head(bytes) = self {
            if !take_head(bytes, input)? {
                return Ok(None);
            }
            let request = request.ok_or("a response that nobody asked for")?;
            let head = Head::parse(bytes)?;
            if head.status == 100 {
                if !String::from_utf8_lossy(&request.bytes).contains("\r\nExpect: 100-continue") {
                    return Err("a 100 that nobody asked for".into());
                }
                *self = Self::default();
                return self.read(input, Some(request), world);
            }
            let body = judge(&head, request, world)
                .map_err(|why| format!("{why}\n{}", String::from_utf8_lossy(bytes)))?;
            let closes = head.field("connection")? == Some("close");
            let stays = head.field("connection")? == Some("keep-alive");
            let last = closes || (request.http10 && !stays);
            world.trace(|| format!("client reads {} {:?}", head.status, request.wanted));
            let (status, is_empty) = (head.status, body == Body::Parts(Vec::new()));
            *self = Self::Body { body, status, last };
            if is_empty {
                *self = Self::default();
                return Ok(Some(Whole { status, last }));
            }
        }
        let Self::Body { body, status, last } = self else { return Ok(None) };
        let (status, last) = (*status, *last);
        let whole = match body {
            Body::Parts(parts) => read_parts(parts, input)?,
            Body::Growing { path, at, frame, .. } => read_growing(path, at, frame, input, world)?,
        };
        if whole {
            *self = Self::default();
        }
        Ok(whole.then_some(Whole { status, last }))
    }

    /// The connection has ended: whether that ended the response as it should.
    pub fn end(&self, world: &World) -> bool {
        match self {
            Self::Body { body: Body::Growing { path, chunked: false, at, .. }, .. } => {
                let mut growing = world.library.growing_at(path);
                growing.any(|growing| growing.ended && !growing.aborted && size_of(growing) == *at)
            }
            _ => false,
        }
    }

    pub fn is_between(&self) -> bool {
        matches!(self, Self::Head(bytes) if bytes.is_empty())
    }
}

/// Takes bytes up to the empty line.
fn take_head(bytes: &mut Vec<u8>, input: &mut Pipe) -> Result<bool, String> {
    while let Some(run) = input.pop(u64::MAX) {
        let Run::Bytes(more) = run else { return Err("bytes of a file in place of a head".into()) };
        let before = bytes.len();
        bytes.extend_from_slice(&more);
        let start = before.saturating_sub(3);
        if let Some(at) = bytes[start..].windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(start + at + 4);
            input.push_front(Run::Bytes(rest));
            return Ok(true);
        }
        if bytes.len() > 4096 {
            return Err("a head without an end".into());
        }
    }
    Ok(false)
}

fn read_parts(parts: &mut Vec<Part>, input: &mut Pipe) -> Result<bool, String> {
    while let Some(part) = parts.last_mut() {
        let (size, expected) = match part {
            Part::Exactly(bytes) => (bytes.len() as u64, None),
            Part::Source { source, offset, size } => (*size, Some((*source, *offset))),
            Part::Text(size) => (*size, None),
        };
        let Some(run) = input.pop(size) else { return Ok(false) };
        let taken = run.size();
        if let Some((source, offset)) = expected
            && !run.is_of(source, offset)
        {
            return Err(format!("{} are not those of {source:?} at {offset}", shortened(&run)));
        }
        match part {
            Part::Exactly(bytes) => {
                let rest = bytes.split_off(taken as usize);
                if run != Run::Bytes(std::mem::replace(bytes, rest)) {
                    return Err(format!("{} stand where other bytes should", shortened(&run)));
                }
            }
            Part::Source { offset, size, .. } => {
                (*offset, *size) = (*offset + taken, *size - taken)
            }
            Part::Text(size) => *size -= taken,
        }
        if taken == size {
            parts.pop();
        }
    }
    Ok(true)
}

fn shortened(run: &Run) -> String {
    match run {
        Run::Bytes(bytes) => {
            format!("bytes {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]))
        }
        run => format!("{run:?}"),
    }
}

fn size_of(growing: &crate::library::Growing) -> u64 {
    growing.pieces.iter().map(|(_, extent)| extent.size).sum()
}

fn read_growing(
    path: &str,
    at: &mut u64,
    frame: &mut Frame,
    input: &mut Pipe,
    world: &World,
) -> Result<bool, String> {
    while let Some(run) = input.pop(if matches!(frame, Frame::Line(_)) { 1 } else { u64::MAX }) {
        match frame {
            Frame::Line(line) => {
                let Run::Bytes(byte) = run else { return Err("a file's bytes as framing".into()) };
                line.extend_from_slice(&byte);
                let begins = line.strip_prefix(b"\r\n");
                if line.len() > 12 || (begins.is_some() && *at == 0) {
                    return Err(format!("bad framing: {line:?}"));
                }
                // The line end after a chunk's bytes, a chunk's first line, or the very end.
                let text = begins.unwrap_or(line);
                if text == b"0\r\n\r\n" {
                    let mut growing = world.library.growing_at(path);
                    let whole = growing.any(|one| one.ended && !one.aborted && size_of(one) == *at);
                    return if whole { Ok(true) } else { Err(format!("a clean end at {at}")) };
                }
                let Some(digits) = text.strip_suffix(b"\r\n").filter(|_| text != b"0\r\n") else {
                    continue;
                };
                let digits = str::from_utf8(digits).map_err(|_| "a chunk's size is not text")?;
                let size =
                    u64::from_str_radix(digits, 16).map_err(|_| format!("size {digits:?}"))?;
                *frame = Frame::Inside(size);
            }
            Frame::Inside(left) => {
                let size = run.size().min(*left);
                let (run, rest) = divided(run, size);
                check_growing(path, *at, &run, world)?;
                *at += size;
                *left -= size;
                if *left == 0 {
                    *frame = Frame::Line(Vec::new());
                }
                if let Some(rest) = rest {
                    input.push_front(rest);
                }
            }
            Frame::Raw => {
                check_growing(path, *at, &run, world)?;
                *at += run.size();
            }
        }
    }
    Ok(false)
}

fn divided(run: Run, size: u64) -> (Run, Option<Run>) {
    let mut pipe = Pipe::default();
    pipe.push(run);
    let first = pipe.pop(size).expect("a run has bytes");
    (first, pipe.pop(u64::MAX))
}

/// Checks bytes of a growing object, which may lie in several pieces.
fn check_growing(path: &str, at: u64, run: &Run, world: &World) -> Result<(), String> {
    let matches = |growing: &crate::library::Growing| {
        let mut pipe = Pipe::default();
        pipe.push(run.clone());
        let mut start = 0;
        let mut at = at;
        for (source, extent) in &growing.pieces {
            let end = start + extent.size;
            while at < end && at >= start {
                let Some(run) = pipe.pop(end - at) else { return true };
                if !run.is_of(*source, extent.offset + at - start) {
                    return false;
                }
                at += run.size();
            }
            start = end;
        }
        pipe.size() == 0
    };
    match world.library.growing_at(path).any(matches) {
        true => Ok(()),
        false => Err(format!("{} are not those of {path} at {at}", shortened(run))),
    }
}

/// Judges a head, and says what must follow.
fn judge(head: &Head, request: &Request, world: &World) -> Result<Body, String> {
    check_date(head, world)?;
    let nothing = || Body::Parts(Vec::new());
    let refusal = |head: &Head| {
        let size = head.size()?;
        // A head that was never read to its end may have been any method's.
        let has_body = !request.head_only || head.status == 408;
        let size = if has_body { size } else { 0 };
        Ok(if size == 0 { nothing() } else { Body::Parts(vec![Part::Text(size)]) })
    };
    if matches!(head.status, 503 | 408) && !world.profile.calm {
        if head.status == 503 {
            head.must("retry-after", "1")?;
        }
        return refusal(head);
    }
    match &request.wanted {
        Wanted::Fixed { status } if *status == head.status => match head.status {
            204 => Ok(nothing()),
            _ => refusal(head),
        },
        Wanted::Answer { number, size, body } if head.status == 200 => {
            head.must("content-length", &size.to_string())?;
            head.must("x-answer", "yes")?;
            let heard = world.library.asked.get(number);
            if heard != Some(body) {
                return Err(format!("control heard {heard:?}"));
            }
            let part = Part::Source { source: SourceId(*number), offset: 0, size: *size };
            Ok(if *size == 0 { nothing() } else { Body::Parts(vec![part]) })
        }
        Wanted::Growing { path } if head.status == 200 => {
            head.must("content-type", "video/mp4")?;
            let chunked = head.field("transfer-encoding")? == Some("chunked");
            if chunked == request.http10 || head.field("content-length")?.is_some() {
                return Err("the wrong framing".into());
            }
            if request.head_only {
                return Ok(nothing());
            }
            let frame = if chunked { Frame::Line(Vec::new()) } else { Frame::Raw };
            Ok(Body::Growing { path: path.clone(), chunked, at: 0, frame })
        }
        Wanted::Growing { path } if head.status == 404 => {
            let was_there = world.library.growing_at(path).any(|one| one.begun <= request.begun);
            if was_there { Err("it was there".into()) } else { refusal(head) }
        }
        Wanted::Object { path, inside } => judge_object(head, request, path, inside, world),
        _ => Err(format!("{} for {:?}", head.status, request.wanted)),
    }
}

fn check_date(head: &Head, world: &World) -> Result<(), String> {
    let date = head.field("date")?.ok_or("no Date")?;
    let date = httpdate::parse_http_date(date).map_err(|_| format!("Date: {date:?}"))?;
    let seconds = date.duration_since(std::time::UNIX_EPOCH).map_err(|_| "a date before 1970")?;
    let now = world.unix + world.now / 1_000_000_000;
    // Without jumps of the clock a response is never dated ahead, nor long ago.
    let jumps = world.profile.jumps > 0;
    if !jumps && seconds.as_secs() > now {
        return Err(format!("dated {} s ahead", seconds.as_secs() - now));
    }
    Ok(())
}

fn judge_object(
    head: &Head,
    request: &Request,
    path: &str,
    inside: &str,
    world: &World,
) -> Result<Body, String> {
    let told = world.library.told_since(path, request.begun);
    let nothing = Body::Parts(Vec::new());
    match head.status {
        200 | 206 | 304 => {}
        404 => {
            let lacks = |told: &Told| match told {
                Told::Absent => true,
                Told::Present(source) => object_of(&world.sources[source], inside).is_none(),
            };
            if !told.iter().any(lacks) && world.profile.calm {
                return Err("it was there".into());
            }
            let size = if request.head_only { 0 } else { head.size()? };
            return Ok(Body::Parts(if size == 0 { vec![] } else { vec![Part::Text(size)] }));
        }
        416 => {
            let size =
                head.field("content-range")?.and_then(|value| value.strip_prefix("bytes */"));
            let size: u64 = size.and_then(|size| size.parse().ok()).ok_or("no size")?;
            return match selected(&request.ranges, size) {
                Selected::Nothing => Ok(nothing),
                other => Err(format!("416, but {other:?}")),
            };
        }
        status => return Err(format!("{status} for an object")),
    }
    let tag = head.field("etag")?.ok_or("no ETag")?;
    let (source, number, gzip) = content::tagged(tag).ok_or("an unknown ETag")?;
    if !told.contains(&Told::Present(source)) {
        return Err(format!("{source:?} was not at {path} then"));
    }
    let model = &world.sources[&source];
    if object_of(model, inside) != Some(number) {
        return Err(format!("object {number} of {source:?} is not {inside:?}"));
    }
    let object = &model.objects[number];
    if gzip != (request.gzip && object.gzip.is_some() && request.ranges.is_empty()) {
        return Err("the wrong encoding".into());
    }
    let is_known = request.known == Some((source, number, gzip));
    if is_known != (head.status == 304) {
        return Err(format!("{} to If-None-Match", head.status));
    }
    if is_known {
        return Ok(nothing);
    }
    let extent = if gzip { object.gzip.expect("it has one") } else { object.identity };
    let name = if inside.is_empty() { path } else { inside };
    object_body(head, request, source, extent, media_type(name))
}

/// The number of the object of that path.
fn object_of(source: &SourceModel, inside: &str) -> Option<usize> {
    source.objects.iter().position(|object| object.path == inside)
}

fn object_body(
    head: &Head,
    request: &Request,
    source: SourceId,
    extent: Extent,
    media_type: &str,
) -> Result<Body, String> {
    let asked = if request.head_only { &[][..] } else { &request.ranges };
    let size = extent.size;
    let part = |range: &Extent| Part::Source {
        source,
        offset: extent.offset + range.offset,
        size: range.size,
    };
    let (status, mut parts) = match selected(asked, size) {
        Selected::Whole => (200, vec![part(&Extent { offset: 0, size })]),
        Selected::Ranges(ranges) if ranges.len() == 1 => {
            head.must("content-range", &content_range(&ranges[0], size))?;
            (206, vec![part(&ranges[0])])
        }
        Selected::Ranges(ranges) => {
            let boundary = head
                .field("content-type")?
                .and_then(|value| value.strip_prefix("multipart/byteranges; boundary="));
            let boundary = boundary.ok_or("no boundary")?;
            let mut parts = Vec::new();
            for (number, range) in ranges.iter().enumerate() {
                let start = if number == 0 { "" } else { "\r\n" };
                let range_line = content_range(range, size);
                let text = format!(
                    "{start}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {range_line}\r\n\r\n"
                );
                parts.push(Part::Exactly(text.into_bytes()));
                parts.push(part(range));
            }
            parts.push(Part::Exactly(format!("\r\n--{boundary}--\r\n").into_bytes()));
            (206, parts)
        }
        Selected::Nothing => return Err("a range that selects nothing".into()),
    };
    if head.status != status {
        return Err(format!("{} in place of {status}", head.status));
    }
    if parts.len() == 1 {
        head.must("content-type", media_type)?;
    }
    let body_size: u64 = parts.iter().map(Part::size).sum();
    head.must("content-length", &body_size.to_string())?;
    parts.retain(|part| part.size() > 0 && !request.head_only);
    parts.reverse();
    Ok(Body::Parts(parts))
}

fn content_range(range: &Extent, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.offset, range.offset + range.size - 1)
}

impl Part {
    fn size(&self) -> u64 {
        match self {
            Self::Exactly(bytes) => bytes.len() as u64,
            Self::Source { size, .. } | Self::Text(size) => *size,
        }
    }
}
