//! What must hold for any bytes. Property tests and the fuzz targets call these.

use super::body::Receiving;
use super::head::{self, Common};
use super::opening::{self, Base};
use super::parse::{self, BodyFraming};
use super::plan;
use super::range::{self, Selection};
use super::refusal::Refusal;
use super::route;
use super::start::{Start, may_be};
use crate::config::{HEAD_SIZE_MAX, RESPONSE_HEAD_SIZE_MAX, TARGET_SIZE_MAX};
use crate::live::slate::language;

/// A head: read the same however it is cut, routed to a clean path, refused with one response.
///
/// # Panics
///
/// If something does not hold.
pub fn head(data: &[u8]) {
    let whole = parse::request(data);
    // Everywhere in what is short; in what is long, at some places only, for the sake of speed.
    for cut in (0..data.len()).step_by(1 + data.len() / 256) {
        match (parse::request(&data[..cut]), &whole) {
            (Ok(None), _) | (Err(_), Err(_)) => {}
            (cut, Ok(Some(request))) if cut == whole => assert!(request.size <= data.len()),
            (cut, whole) => panic!("read as {cut:?}, then as {whole:?}"),
        }
    }
    match whole {
        Ok(None) => assert!(data.len() < HEAD_SIZE_MAX, "a head is never waited for for ever"),
        Ok(Some(request)) => {
            assert!(request.size <= HEAD_SIZE_MAX && data[..request.size].ends_with(b"\r\n\r\n"));
            if let Some(languages) = request.languages {
                let known = ["en".to_owned(), "pt-BR".to_owned()];
                let found = language::accepted(languages, &known);
                assert!(found.is_none_or(|at| at < known.len()));
            }
            assert!(!has_bare_line_end(&data[..request.size]), "a line ends with CRLF");
            waits(&request, &data[..request.size]);
            routed(&request);
        }
        Err(refusal) => refused(refusal),
    }
}

/// What is kept of it while it waits is read as it is, and not longer.
fn waits(request: &parse::Request<'_>, head: &[u8]) {
    let kept = parse::kept(request, head);
    let size = kept.len();
    assert!(size <= head.len());
    assert_eq!(parse::request(&kept), Ok(Some(parse::Request { size, ..*request })));
}

/// Bytes as the path by which an app starts something: known before it is decoded, and of three
/// elements that are what they were; and as a playlist, which is written whole or not at all.
///
/// # Panics
///
/// If something does not hold.
pub fn start(data: &[u8]) {
    let mut scratch = [0; TARGET_SIZE_MAX];
    if data.len() <= TARGET_SIZE_MAX
        && let Ok(path) = route::unescaped(data, &mut scratch)
        && let Some(start) = Start::of_path(path)
    {
        assert!(may_be(data), "{path:?}");
        assert!(!start.user.is_empty() && !start.password.is_empty());
        let rest = format!("{}/{}/{}", start.user, start.password, start.number);
        assert_eq!(rest.matches('/').count(), 2, "{path:?}");
    }
    let base = Base { token: b"token", folder: b"/tv/news/" };
    let mut out = vec![0; data.len() * 2];
    if let Some(size) = opening::written(data, &base, &mut out) {
        assert!(size >= data.len() && size <= out.len());
    }
}

fn has_bare_line_end(head: &[u8]) -> bool {
    let after_cr = |at: usize| at > 0 && head[at - 1] == b'\r';
    let before_lf = |at: usize| head.get(at + 1) == Some(&b'\n');
    head.iter().enumerate().any(|(at, byte)| match byte {
        b'\n' => !after_cr(at),
        b'\r' => !before_lf(at),
        _ => false,
    })
}

fn routed(request: &parse::Request<'_>) {
    let mut scratch = [0; TARGET_SIZE_MAX];
    match route::target(request, &mut scratch) {
        Ok(route::Target::Vod { path, .. } | route::Target::Live { path, .. }) => {
            let climbs = path.split('/').any(|element| matches!(element, "." | ".."));
            let hides = path.contains(|letter: char| letter.is_control() || letter == '\\');
            assert!(!climbs && !hides && !path.contains("//"), "{path:?}");
        }
        Ok(_) => {}
        Err(refusal) => {
            let plan = plan::refusal(request, refusal);
            let body_follows = !matches!(request.body, BodyFraming::Empty | BodyFraming::Length(0));
            let closes = plan.connection == plan::Connection::Close;
            assert!(closes || !body_follows, "a body is left to be read as a request");
        }
    }
}

fn refused(refusal: Refusal) {
    assert!(refusal.closes(), "{refusal:?} keeps a connection that is out of step");
    let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
    let date = &head::date(crate::units::UnixTime(0));
    let written = head::write(&plan::unreadable(refusal), None, &Common::default(), date, &mut out);
    assert!(out[..written.size].starts_with(b"HTTP/1.1 "));
}

/// A Range value, behind eight bytes of the object's size: what is selected exists, in order of
/// asking, without overlap.
///
/// # Panics
///
/// If something does not hold.
pub fn range(data: &[u8]) {
    let Some((size, value)) = data.split_first_chunk::<8>() else { return };
    let size = u64::from_le_bytes(*size);
    let ranges = match range::selection(value, size) {
        Selection::Whole | Selection::Unsatisfiable => return,
        Selection::One(range) => vec![range],
        Selection::Several(ranges) => {
            assert!(ranges.as_slice().len() > 1);
            ranges.as_slice().to_vec()
        }
    };
    let mut sum = 0_u64;
    for (index, range) in ranges.iter().enumerate() {
        assert!(range.first <= range.last && range.last < size, "{range:?} of {size}");
        let apart = |other: &range::ByteRange| other.last < range.first || range.last < other.first;
        assert!(ranges[..index].iter().all(apart), "{range:?} overlaps");
        sum += range.last - range.first + 1;
    }
    assert!(sum <= size, "a request for more than there is");
}

/// A chunked body behind one byte that says where to cut it: the same, cut or not.
///
/// # Panics
///
/// If something does not hold.
pub fn body(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let pieces = [&[data][..], &data.chunks(usize::from(cut).max(1)).collect::<Vec<_>>()];
    let [whole, cut] = pieces.map(received);
    assert_eq!(whole, cut, "a cut changes what is read");
    if let Ok(Some((bytes, used))) = whole {
        // The frame of a body is at least its last chunk.
        assert!(bytes.len() + 5 <= used && data[..used].ends_with(b"\r\n\r\n"));
    }
}

fn received(pieces: &[&[u8]]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut body = Receiving::new(BodyFraming::Chunked).expect("no size is stated yet");
    let mut used = 0;
    for piece in pieces {
        let progress = body.take(piece)?;
        used += progress.used;
        if progress.whole {
            return Ok(Some((body.bytes, used)));
        }
        assert_eq!(progress.used, piece.len(), "an unfinished body takes all");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Bytes that come near to being a head.
    fn near_head() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            8 => "(GET|HEAD|POST|OPTIONS|PUT) /[a-z%0-9./\\\\?]{0,12} HTTP/1\\.[01]",
            1 => "[ -~]{0,20}",
        ];
        let field = prop_oneof![
            "Host: [a-z0-9.:@]{0,8}",
            "(Content-Length|content_length): ?[0-9, ]{0,4}",
            "Transfer-Encoding: (chunked|gzip|,|x| ){0,3}",
            "(Range|If-Range|If-Match|Expect|Connection|Accept-Encoding): [ -~]{0,12}",
            "[ -~\\x00\\x80-\\xff]{0,16}",
        ];
        let end = prop_oneof![12 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
        let fields = proptest::collection::vec((field, end.clone()), 0..6);
        (line, end.clone(), fields, end).prop_map(|(line, end, fields, last)| {
            let mut head = line + end;
            for (field, end) in fields {
                head += &field;
                head += end;
            }
            (head + last).into_bytes()
        })
    }

    /// Bytes that come near to being chunks.
    fn near_chunks() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[0-3]\r\n",
            "[a-z]{0,3}\r\n",
            "0\r\n\r\n",
            "[0-9a-gA-F]{1,17};[a-z=\";\\\\ ]{0,6}\r\n",
            "[\\x00-\\x7f]{0,3}",
        ];
        (any::<u8>(), proptest::collection::vec(piece, 0..8))
            .prop_map(|(cut, pieces)| [&[cut], pieces.concat().as_bytes()].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn any_head(data in prop_oneof![near_head(), proptest::collection::vec(any::<u8>(), 0..64)]) {
            super::head(&data);
        }

        #[test]
        fn any_address(data in "(/|%2f)(live|movie|s|%[0-9a-f]{2})?[/a-z0-9%.#\"=\n]{0,30}") {
            super::start(data.as_bytes());
        }

        #[test]
        fn any_range(size in any::<u64>(), value in "bytes=[-0-9, ]{0,30}") {
            super::range(&[&size.to_le_bytes(), value.as_bytes()].concat());
            super::range(&[&(size % 100).to_le_bytes(), value.as_bytes()].concat());
        }

        #[test]
        fn any_body(data in near_chunks()) {
            super::body(&data);
        }
    }
}
