//! A look at the server before a run: does it answer, and how large are its responses?
//!
//! A few URLs are fetched by plain blocking reads, so that a wrong path or a server that is not
//! there is named before anything is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::engine::Way;
use super::random::Random;
use super::response::{Progress, Receiver, Response};
use super::urls::{Group, UrlSet};

/// URLs looked at; enough to see whether a list mixes small and large ones.
const SAMPLE_COUNT: usize = 16;

/// Largest body that goes through provided buffers whole. Above it, the copy into the buffer
/// would cost more than the second receive that avoids it.
const STREAM_BODY_MAX: u64 = 16 * 1024;

/// Room for the head in front of a small body.
const HEAD_ROOM: u64 = 1024;

/// A server that says nothing for this long is not measured.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two attempts at a server that is not ready.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How the responses of a list are best received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// The way.
    pub way: Way,
    /// Bytes of a provided buffer.
    pub buffer_size: u32,
}

/// For responses that are known to be small.
pub const SMALL: Reception = Reception { way: Way::Stream, buffer_size: 4096 };

/// Fetches some of the URLs and chooses the reception. The error names what went wrong.
pub fn reception(urls: &UrlSet, seed: u64) -> Result<Reception, String> {
    let mut random = Random::new(seed);
    let mut largest = 0;
    for turn in 0..SAMPLE_COUNT.min(urls.count()) {
        let url = if turn == 0 { 0 } else { random.below(urls.count()) };
        largest = largest.max(fetch(urls, url)?.body_size);
    }
    Ok(reception_for(largest))
}

fn reception_for(largest: u64) -> Reception {
    if largest <= STREAM_BODY_MAX {
        let size = (largest + HEAD_ROOM).next_power_of_two().max(4096);
        Reception { way: Way::Stream, buffer_size: size as u32 }
    } else {
        Reception { way: Way::Exact, buffer_size: HEAD_ROOM as u32 }
    }
}

/// Waits until the first and the last URL of a list are answered with 2xx.
///
/// A server may open its port before it has found everything that it is to serve.
pub fn wait_for_answers(urls: &UrlSet, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    for url in [0, urls.count() - 1] {
        while let Err(why) = fetch(urls, url) {
            if Instant::now() > deadline {
                return Err(why);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
    Ok(())
}

/// One request on a connection of its own; anything but 2xx is an error.
pub fn fetch(urls: &UrlSet, url: usize) -> Result<Response, String> {
    fetch_on_new(urls, url).map(|(response, _)| response)
}

/// The same, and the connection stays open.
pub fn open_and_fetch(urls: &UrlSet, url: usize) -> Result<TcpStream, String> {
    fetch_on_new(urls, url).map(|(_, stream)| stream)
}

fn fetch_on_new(urls: &UrlSet, url: usize) -> Result<(Response, TcpStream), String> {
    let fetched = connect(group_of(urls, url).address).and_then(|mut stream| {
        let response = exchange(&mut stream, &urls.bytes()[urls.request(url)])?;
        Ok((response, stream))
    });
    match fetched {
        Ok((response, stream)) if (200..300).contains(&response.status) => Ok((response, stream)),
        Ok((response, _)) => Err(named(urls, url, &format!("status {}", response.status))),
        Err(why) => Err(named(urls, url, &why)),
    }
}

/// Requests these URLs once, one after the other, so that the server has opened and the page cache
/// holds what they stand for.
pub fn touch(urls: &UrlSet, which: impl Iterator<Item = usize>) -> Result<(), String> {
    let mut open: Option<(SocketAddr, TcpStream)> = None;
    for url in which {
        let address = group_of(urls, url).address;
        let mut stream = match open.take() {
            Some((other, stream)) if other == address => stream,
            _ => connect(address).map_err(|why| named(urls, url, &why))?,
        };
        let request = &urls.bytes()[urls.request(url)];
        let response = exchange(&mut stream, request).map_err(|why| named(urls, url, &why))?;
        if !(200..300).contains(&response.status) {
            return Err(named(urls, url, &format!("status {}", response.status)));
        }
        if !response.close {
            open = Some((address, stream));
        }
    }
    Ok(())
}

fn group_of(urls: &UrlSet, url: usize) -> &Group {
    let groups = urls.groups().iter();
    groups.into_iter().find(|group| group.urls.contains(&url)).expect("every URL is in one group")
}

fn named(urls: &UrlSet, url: usize, why: &str) -> String {
    let request = String::from_utf8_lossy(&urls.bytes()[urls.request(url)]);
    let line = request.lines().next().unwrap_or_default();
    let path = line.split(' ').nth(1).unwrap_or_default();
    format!("GET http://{}{path}: {why}", group_of(urls, url).address)
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let connected = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    });
    connected.map_err(|error| error.to_string())
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Response, String> {
    let io = |error: std::io::Error| error.to_string();
    stream.write_all(request).map_err(io)?;
    let mut receiver = Receiver::default();
    let mut buffer = [0; 16 * 1024];
    loop {
        let size = stream.read(&mut buffer).map_err(io)?;
        if size == 0 {
            return receiver.end().ok_or_else(|| "the connection ended early".to_owned());
        }
        match receiver.feed(&buffer[..size]) {
            Ok(Progress::More) => {}
            Ok(Progress::Whole(response, _)) => return Ok(response),
            Err(kind) => return Err(format!("the response is malformed: {kind:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_stream_and_large_ones_are_taken_exactly() {
        let way = |size| reception_for(size);
        assert_eq!(way(2048), Reception { way: Way::Stream, buffer_size: 4096 });
        assert_eq!(way(10_000), Reception { way: Way::Stream, buffer_size: 16_384 });
        assert_eq!(way(1 << 20), Reception { way: Way::Exact, buffer_size: 1024 });
    }
}
