//! Bodies, whole and cut anywhere.

use proptest::prelude::*;

use super::*;

/// What becomes of a chunked body: the decoded bytes and what follows it, or the refusal, or that
/// it is not whole. Taken in one piece, and then once for each place to cut it.
#[track_caller]
fn received(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let whole = in_pieces(&[bytes]);
    for cut in 0..=bytes.len().min(600) {
        let pieces = in_pieces(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(pieces, whole, "{:?} cut at {cut}", String::from_utf8_lossy(bytes));
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(in_pieces(&single), whole, "byte by byte");
    whole
}

fn in_pieces(pieces: &[&[u8]]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut body = Receiving::new(BodyFraming::Chunked)?;
    let mut used = 0;
    for piece in pieces {
        let progress = body.take(piece)?;
        used += progress.used;
        if progress.whole {
            return Ok(Some((body.bytes, used)));
        }
        assert_eq!(progress.used, piece.len(), "a body that is not whole takes everything");
    }
    Ok(None)
}

#[track_caller]
fn whole(bytes: &str, expected: &str) {
    let used = bytes.find('|').unwrap_or(bytes.len());
    let bytes = bytes.replacen('|', "", 1);
    let expected = Ok(Some((expected.as_bytes().to_vec(), used)));
    assert_eq!(received(bytes.as_bytes()), expected, "{bytes:?}");
}

#[track_caller]
fn malformed(bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(received(bytes), Err(Refusal::Malformed), "{shown:?}");
}

#[test]
fn chunks_are_put_together() {
    whole("0\r\n\r\n|GET / HTTP/1.1", "");
    whole("5\r\nhello\r\n0\r\n\r\n", "hello");
    whole("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n|0\r\n\r\n", "hello world");
    whole("0000000000000001\r\nx\r\n0\r\n\r\n", "x");
    whole("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789");
    whole("2\r\n\r\n\r\n0\r\n\r\n", "\r\n");
}

#[test]
fn extensions_follow_their_grammar() {
    whole("1;a;b=c;d=\"e\\\"; f\";g\r\nx\r\n0;h\r\n\r\n", "x");
    for extension in [
        ";",
        ";;a",
        ";a;",
        "; a",
        ";a =b",
        ";a= b",
        ";a=",
        ";a=\"",
        ";a=\"b",
        ";a=\"b\"c",
        ";=b",
        ";a=b=c",
        ";a\0",
        ";a=\"\0\"",
        ";a\rb",
        ";a\nb",
        ";a=\"\n\"",
        ";a=\"\r\n\"",
        ";a=\"\\\r\"",
        ";a=\"\u{e9}\"",
        " ;a",
        "\t;a",
        ";a ",
        ";a\t",
        ";a\x0b",
        ";a(b)",
        ";a,b",
    ] {
        malformed(format!("1{extension}\r\nx\r\n0\r\n\r\n"));
        malformed(format!("1\r\nx\r\n0{extension}\r\n\r\n"));
    }
}

#[test]
fn extensions_end() {
    let chunk = |size: usize| format!("1;{}\r\nx\r\n", "a".repeat(size - 1));
    let end = "0\r\n\r\n";
    // The CR counts, too.
    assert!(received((chunk(CHUNK_EXTENSIONS_SIZE_MAX) + end).as_bytes()).is_ok());
    let one_more = chunk(CHUNK_EXTENSIONS_SIZE_MAX + 1);
    assert_eq!(received(one_more.as_bytes()), Err(Refusal::BodyTooLarge));
    let spread = chunk(CHUNK_EXTENSIONS_SIZE_MAX / 8).repeat(9);
    assert_eq!(received(spread.as_bytes()), Err(Refusal::BodyTooLarge));
    let endless = format!("1;{}", "a".repeat(100_000));
    assert_eq!(in_pieces(&[endless.as_bytes()]), Err(Refusal::BodyTooLarge));
}

#[test]
fn sizes_are_plain_hexadecimal() {
    for size in [
        "",
        "0x1",
        "x",
        "+1",
        "-1",
        "1_0",
        "1zz",
        "1 ",
        " 1",
        "1\t",
        "g",
        "1.0",
        "1,",
        "\u{661}",
        "00000000000000001",
        "10000000000000001",
        "fffffffffffffffff",
        "1\0",
        "\0",
        "\"1\"",
        "1h",
    ] {
        malformed(format!("{size}\r\nx\r\n0\r\n\r\n"));
        malformed(format!("1\r\nx\r\n{size}\r\n\r\n"));
    }
}

#[test]
fn lines_end_with_crlf() {
    for body in [
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r\n0\n\r\n",
        "1\r\nx\r\n0\r\n\n",
        "1\rx\r\n0\r\n\r\n",
        "1\rXx\r\n0\r\n\r\n",
        "1\r\nx\rX0\r\n\r\n",
        "1\r\nx\r\n0\rX\r\n",
        "1\r\nx\r\n0\r\n\rX",
        "1\r\r\nx\r\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "2\r\nx\r\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "\r\n1\r\nx\r\n0\r\n\r\n",
        "1\r\n\r\nx\r\n0\r\n\r\n",
        "1\n\nx\r\n0\r\n\r\n",
        "1;a\nx\r\n0\r\n\r\n",
    ] {
        malformed(body);
    }
}

#[test]
fn trailer_fields_are_refused() {
    for field in ["X: y", "Content-Length: 5", "Host: other", "Authorization: x", "\tX: y"] {
        malformed(format!("0\r\n{field}\r\n\r\n"));
    }
}

#[test]
fn a_body_without_its_last_chunk_is_not_whole() {
    for body in
        ["", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\n\r"]
    {
        assert_eq!(received(body.as_bytes()), Ok(None), "{body:?}");
    }
}

#[test]
fn bodies_have_a_size_limit() {
    let too_large = Err(Refusal::BodyTooLarge);
    let of_length = |length| Receiving::new(BodyFraming::Length(length)).map(|_| ());
    assert_eq!(of_length(REQUEST_BODY_SIZE_MAX as u64), Ok(()));
    assert_eq!(of_length(REQUEST_BODY_SIZE_MAX as u64 + 1), too_large);
    assert_eq!(of_length(u64::MAX), too_large);
    for size in ["10001", "ffffffffffffffff", "8000000000000000"] {
        assert_eq!(received(format!("{size}\r\n").as_bytes()), Err(Refusal::BodyTooLarge));
    }
    let full = format!("{REQUEST_BODY_SIZE_MAX:x}\r\n{}\r\n", "x".repeat(REQUEST_BODY_SIZE_MAX));
    let body = in_pieces(&[full.as_bytes(), b"0\r\n\r\n"]).expect("it fits");
    assert_eq!(body.map(|(bytes, _)| bytes.len()), Some(REQUEST_BODY_SIZE_MAX));
    assert_eq!(in_pieces(&[full.as_bytes(), b"1\r\n"]), Err(Refusal::BodyTooLarge));
}

#[test]
fn a_length_is_taken_exactly() {
    let mut body = Receiving::new(BodyFraming::Length(5)).expect("a short body");
    assert_eq!(body.take(b""), Ok(Progress { used: 0, whole: false }));
    assert_eq!(body.take(b"he"), Ok(Progress { used: 2, whole: false }));
    assert_eq!(body.take(b"lloGET /"), Ok(Progress { used: 3, whole: true }));
    assert_eq!(body.take(b"GET /"), Ok(Progress { used: 0, whole: true }));
    assert_eq!(body.bytes, b"hello");
    for framing in [BodyFraming::Empty, BodyFraming::Length(0)] {
        let mut none = Receiving::new(framing).expect("no body");
        assert_eq!(none.take(b"GET /"), Ok(Progress { used: 0, whole: true }));
    }
}

proptest! {
    #[test]
    fn what_was_chunked_comes_out(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8), cuts in proptest::collection::vec(0_usize..500, 0..5)) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:X};n=1\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let size = wire.len();
        wire.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
        prop_assert_eq!(in_pieces(&pieces), Ok(Some((chunks.concat(), size))));
    }
}
