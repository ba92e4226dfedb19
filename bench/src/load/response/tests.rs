//! Cases of the response reader; each is also given cut in two at every byte.

use super::*;

/// Feeds `bytes` cut at `cut`; `None` if the response did not become whole.
fn read(bytes: &[u8], cut: usize) -> Result<Option<(Response, usize)>, Malformed> {
    let mut receiver = Receiver::default();
    let mut before = 0;
    for piece in [&bytes[..cut], &bytes[cut..]] {
        if let Progress::Whole(response, used) = receiver.feed(piece)? {
            return Ok(Some((response, before + used)));
        }
        before += piece.len();
    }
    Ok(receiver.end().map(|response| (response, before)))
}

#[track_caller]
fn check(text: &str, expected: Result<Option<(u16, u64, bool)>, Malformed>) {
    for cut in 0..=text.len() {
        let found = read(text.as_bytes(), cut).map(|whole| {
            whole.map(|(response, used)| {
                assert_eq!(used, text.len(), "cut at {cut}");
                (response.status, response.body_size, response.close)
            })
        });
        assert_eq!(found, expected, "cut at {cut}");
    }
}

#[test]
fn a_counted_body_is_whole_at_its_last_byte() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok(Some((200, 5, false))));
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Ok(None));
    check("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", Ok(Some((200, 0, false))));
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole_only_then() {
    check("HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello", Ok(Some((200, 5, true))));
}

#[test]
fn the_connection_ends_where_the_head_says_so() {
    let text = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    check(text, Ok(Some((404, 1, true))));
    let text = "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx";
    check(text, Ok(Some((200, 1, false))));
}

#[test]
fn statuses_without_body_have_none() {
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Ok(Some((304, 0, false))));
    check("HTTP/1.1 204 No Content\r\n\r\n", Ok(Some((204, 0, false))));
    let text =
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    check(text, Ok(Some((200, 2, false))));
}

#[test]
fn chunks_are_counted_without_their_framing() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        &format!("{head}3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n"),
        Ok(Some((200, 13, false))),
    );
    check(&format!("{head}0\r\nX-Trailer: 1\r\n\r\n"), Ok(Some((200, 0, false))));
    check(&format!("{head}3\r\nabc\r\n"), Ok(None));
    check(&format!("{head}3\r\nabcX"), Err(Malformed::Chunk));
    check(&format!("{head}zz\r\n"), Err(Malformed::Chunk));
    check(&format!("{head}\r\n"), Err(Malformed::Chunk));
}

#[test]
fn what_is_not_http_is_named() {
    check("HTTP/2 200\r\n\r\n", Err(Malformed::StatusLine));
    check("HTTP/1.1 2x0 OK\r\n\r\n", Err(Malformed::StatusLine));
    check("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Err(Malformed::HeaderLine));
    check("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", Err(Malformed::HeaderLine));
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx";
    check(text, Err(Malformed::Length));
    check("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Err(Malformed::Length));
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(text, Err(Malformed::Length));
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Err(Malformed::Coding));
}

#[test]
fn a_head_without_end_is_given_up() {
    let mut receiver = Receiver::default();
    assert_eq!(receiver.feed(b"HTTP/1.1 200 OK\r\n"), Ok(Progress::More));
    let line = [b'a'; 1024];
    let result = (0..20).map(|_| receiver.feed(&line)).find(|result| result.is_err());
    assert_eq!(result, Some(Err(Malformed::HeadTooLong)));
}

#[test]
fn bytes_after_a_response_are_left_to_the_next() {
    let mut receiver = Receiver::default();
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1";
    let response = Response { status: 200, body_size: 2, close: false };
    assert_eq!(receiver.feed(bytes), Ok(Progress::Whole(response, bytes.len() - 8)));
    assert!(receiver.is_at_start());
}

#[test]
fn a_known_length_can_be_skipped() {
    let mut receiver = Receiver::default();
    let fed = receiver.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789");
    assert_eq!(fed, Ok(Progress::More));
    assert_eq!(receiver.skippable(), 990);
    assert_eq!(receiver.skip(900), Progress::More);
    let response = Response { status: 200, body_size: 1000, close: false };
    assert_eq!(receiver.skip(90), Progress::Whole(response, 0));
    assert_eq!(receiver.skippable(), 0);
}
