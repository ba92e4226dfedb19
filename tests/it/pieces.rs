//! What is made piece by piece: asked for once, sent in any part, and made again when it has gone.

use std::ops::Range;
use std::time::Duration;

use shardcast::messages::{Made, SourceId, Update, WantedPiece};

use crate::content::{self, bytes};
use crate::server::{PATIENCE, Server};

/// Sizes of pieces: with a small one between large ones.
const SIZES: [usize; 4] = [400_000, 188, 2_000_000, 50_000];

struct Film {
    server: Server,
    source: SourceId,
    whole: Vec<u8>,
}

impl Film {
    fn new() -> Self {
        let mut server = Server::new();
        let source = SourceId::of_past(1, true);
        let opened = content::of_pieces("film.ts", source, &SIZES.map(|size| size as u64));
        server.list_file("film.ts", &opened);
        Self { server, source, whole: bytes(7, SIZES.iter().sum()) }
    }

    fn of(&self, number: u32) -> Range<usize> {
        let at = number as usize;
        let start: usize = SIZES[..at].iter().sum();
        start..start + SIZES[at]
    }

    /// The next piece that is asked for.
    fn wanted(&self) -> u32 {
        let WantedPiece { source, number } =
            self.server.pieces.recv_timeout(PATIENCE).expect("a piece is asked for");
        assert_eq!(source, self.source);
        number
    }

    fn say(&mut self, number: u32, made: &Made) {
        let source = self.source;
        self.server.tell(|| Update::Piece(source, number, made.clone()));
    }

    /// Makes the next piece that is asked for.
    fn make(&mut self) -> u32 {
        let number = self.wanted();
        let bytes = self.whole[self.of(number)].into();
        self.say(number, &Made::There(bytes));
        number
    }

    /// What a client gets who asks with these lines, in a thread of its own.
    fn asked(&self, lines: &str) -> std::thread::JoinHandle<(u16, Vec<u8>)> {
        let (mut client, lines) = (self.server.client(), lines.to_owned());
        std::thread::spawn(move || {
            let reply = client.ask("GET", "/vod/film.ts", &lines);
            (reply.status, reply.body)
        })
    }

    fn is_asked_for_nothing(&self) -> bool {
        self.server.pieces.recv_timeout(Duration::ZERO).is_err()
    }
}

#[test]
fn pieces_are_asked_for_once_and_kept_for_whoever_comes() {
    let mut film = Film::new();
    let head = film.server.client().ask("HEAD", "/vod/film.ts", "");
    assert_eq!(head.status, 200);
    assert_eq!(head.field("Content-Length"), Some(film.whole.len().to_string().as_str()));
    assert!(film.is_asked_for_nothing(), "a head needs no piece");
    let viewers = [film.asked(""), film.asked("")];
    assert_eq!([0; 4].map(|_| film.make()), [0, 1, 2, 3]);
    for viewer in viewers {
        let (status, body) = viewer.join().unwrap();
        assert!(status == 200 && body == film.whole);
    }
    let (status, body) = film.asked("").join().unwrap();
    assert!(status == 200 && body == film.whole && film.is_asked_for_nothing());
}

#[test]
fn a_part_needs_its_pieces_alone_and_one_that_has_gone_is_made_again() {
    let mut film = Film::new();
    let cut = film.of(2).start;
    let across = film.asked(&format!("Range: bytes={}-{}\r\n", cut - 100, cut + 99));
    assert_eq!([film.make(), film.make()], [1, 2]);
    let (status, body) = across.join().unwrap();
    assert!(status == 206 && body == film.whole[cut - 100..cut + 100]);
    film.say(2, &Made::Gone);
    let last = film.asked("Range: bytes=-60000\r\n");
    assert_eq!([film.make(), film.make()], [2, 3]);
    let (status, body) = last.join().unwrap();
    assert!(status == 206 && body == film.whole[film.whole.len() - 60_000..]);
    // Of who left before it came nobody waits, and what comes then is there for the next one.
    let mut gone = film.server.client();
    gone.write(b"GET /vod/film.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert_eq!(film.wanted(), 0);
    gone.reset();
    let bytes = film.whole[film.of(0)].into();
    film.say(0, &Made::There(bytes));
    let (status, body) = film.asked("").join().unwrap();
    assert!(status == 200 && body == film.whole);
}

#[test]
fn a_piece_that_cannot_be_made_ends_its_responses_and_nothing_else() {
    let mut film = Film::new();
    let mut viewer = film.server.client();
    viewer.write(b"GET /vod/film.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
    film.make();
    viewer.head().unwrap();
    assert!(viewer.take(SIZES[0]).unwrap() == film.whole[film.of(0)]);
    assert_eq!(film.wanted(), 1);
    film.say(1, &Made::Never);
    assert!(viewer.take(1).is_err(), "a body that is not whole ends in a reset");
    let part = film.asked("Range: bytes=0-9\r\n").join().unwrap();
    assert_eq!(part, (206, film.whole[..10].to_vec()));
}
