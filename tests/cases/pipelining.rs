//! Thousands of requests before the first answer is read: answers come in order, and a client that
//! is further ahead than the server keeps for anybody loses its connection, nobody else's.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::fixture::{Library, Server};
use crate::wire::Reader;

/// Each asks for another byte, so that the order shows.
fn requests(count: usize) -> Vec<u8> {
    let request = |number: usize| {
        let byte = number % 1000;
        format!("GET /vod/films/a/1.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes={byte}-{byte}\r\n\r\n")
    };
    (0..count).map(request).collect::<String>().into_bytes()
}

/// Writes until the kernel takes no more, and gives what is left.
fn fill<'b>(stream: &mut TcpStream, bytes: &'b [u8]) -> &'b [u8] {
    stream.set_nonblocking(true).expect("an option of ours");
    let mut rest = bytes;
    while let Ok(size @ 1..) = stream.write(rest) {
        rest = &rest[size..];
    }
    stream.set_nonblocking(false).expect("an option of ours");
    rest
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    const COUNT: usize = 3_000;
    let library = Library::new();
    let server = Server::start(&library);
    let mut stream = crate::socket(&server);
    let all = requests(COUNT);
    let rest = fill(&mut stream, &all).to_vec();
    let mut sender = stream.try_clone().expect("a second handle");
    let writer = thread::spawn(move || sender.write_all(&rest));
    let segment = crate::file("films/a/1.m4s");
    let mut reader = Reader::new(&mut stream);
    for number in 0..COUNT {
        let byte = number % 1000;
        let answer = reader.answer(206, false).expect("an answer for each request");
        assert_eq!(answer.status, 206);
        let range = format!("bytes {byte}-{byte}/1000");
        assert_eq!(answer.field("content-range"), Some(range.as_str()), "answer {number}");
        assert_eq!(answer.body, segment[byte..=byte]);
    }
    writer.join().expect("the writer runs to its end").expect("everything was sent");
    crate::probe(&mut reader).expect("one answer a request, and the connection goes on");
}

#[test]
fn a_flood_costs_nobody_else_anything() {
    const COUNT: usize = 10_000;
    let library = Library::new();
    let server = Server::start(&library);
    let mut stream = crate::socket(&server);
    let all = requests(COUNT);
    let rest = fill(&mut stream, &all).to_vec();
    let mut sender = stream.try_clone().expect("a second handle");
    // It may be reset in the middle: then the rest can't be sent.
    let writer = thread::spawn(move || sender.write_all(&rest).is_ok());
    let (mut answers, mut bytes) = (String::new(), vec![0; 64 * 1024]);
    // The last answer is known by its range; before it only a reset can end this.
    let last = format!("{byte}-{byte}/1000", byte = (COUNT - 1) % 1000);
    let mut count = 0;
    while count < COUNT / 1000
        && let Ok(size @ 1..) = stream.read(&mut bytes)
    {
        let start = answers.len().saturating_sub(last.len() - 1);
        answers += &String::from_utf8_lossy(&bytes[..size]);
        count += answers[answers.ceil_char_boundary(start)..].matches(&last).count();
    }
    let ranges = answers.split("Content-Range: bytes ").skip(1);
    let numbers = ranges.filter_map(|range| range.split_once("/1000\r\n"));
    for (number, (range, _)) in numbers.enumerate() {
        let byte = number % 1000;
        assert_eq!(range, format!("{byte}-{byte}"), "answer {number}");
    }
    writer.join().expect("the writer runs to its end");
    let mut other = crate::socket(&server);
    crate::probe(&mut Reader::new(&mut other)).expect("others are served");
}
