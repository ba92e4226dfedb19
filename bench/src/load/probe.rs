//! A look at the server before a run: does it answer, and how large are its responses?
//!
//! A few URLs are fetched by plain blocking reads, so that a wrong path or a server that is not
//! there is named before anything is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::engine::Way;
use super::random::Random;
use super::response::{Progress, Receiver, Response};
use super::urls::UrlSet;

/// URLs looked at; enough to see whether a list mixes small and large ones.
const SAMPLE_COUNT: usize = 16;

/// Largest body that goes through provided buffers whole. Above it, the copy into the buffer
/// would cost more than the second receive that avoids it.
const STREAM_BODY_MAX: u64 = 16 * 1024;

/// Room for the head in front of a small body.
const HEAD_ROOM: u64 = 1024;

/// A server that says nothing for this long is not measured.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How the responses of a list are best received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// The way.
    pub way: Way,
    /// Bytes of a provided buffer.
    pub buffer_size: u32,
}

/// Fetches some of the URLs and chooses the reception. The error names what went wrong.
pub fn reception(urls: &UrlSet, seed: u64) -> Result<Reception, String> {
    let mut random = Random::new(seed);
    let mut largest = 0;
    for turn in 0..SAMPLE_COUNT.min(urls.count()) {
        let url = if turn == 0 {
            0
        } else {
            random.below(urls.count())
        };
        largest = largest.max(fetch(urls, url)?.body_size);
    }
    Ok(reception_for(largest))
}

fn reception_for(largest: u64) -> Reception {
    if largest <= STREAM_BODY_MAX {
        let size = (largest + HEAD_ROOM).next_power_of_two().max(4096);
        Reception {
            way: Way::Stream,
            buffer_size: size as u32,
        }
    } else {
        Reception {
            way: Way::Exact,
            buffer_size: HEAD_ROOM as u32,
        }
    }
}

/// One request on a connection of its own; anything but 2xx is an error.
pub fn fetch(urls: &UrlSet, url: usize) -> Result<Response, String> {
    let group = urls
        .groups()
        .iter()
        .find(|group| group.urls.contains(&url))
        .expect("every URL is in one group");
    let request = &urls.bytes()[urls.request(url)];
    let name = || {
        let line = request
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        format!("{} from {}", String::from_utf8_lossy(line), group.address)
    };
    let response = exchange(group.address, request).map_err(|why| format!("{}: {why}", name()))?;
    if !(200..300).contains(&response.status) {
        return Err(format!("{}: status {}", name(), response.status));
    }
    Ok(response)
}

fn exchange(address: std::net::SocketAddr, request: &[u8]) -> Result<Response, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).map_err(io)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(io)?;
    stream.write_all(request).map_err(io)?;
    let mut receiver = Receiver::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let size = stream.read(&mut buffer).map_err(io)?;
        if size == 0 {
            return receiver
                .end()
                .ok_or_else(|| "the connection ended early".to_owned());
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
        assert_eq!(
            way(2048),
            Reception {
                way: Way::Stream,
                buffer_size: 4096
            }
        );
        assert_eq!(
            way(10_000),
            Reception {
                way: Way::Stream,
                buffer_size: 16_384
            }
        );
        assert_eq!(
            way(1 << 20),
            Reception {
                way: Way::Exact,
                buffer_size: 1024
            }
        );
    }
}
