//! Tiny servers, one in each style: the same 2 KiB response to every request on a connection.
//!
//! They show what a runtime costs, so they do no more than HTTP/1.1 keep-alive needs: find the end
//! of each head, send a prebuilt response. Each runs in a process of its own, on one thread.

pub mod glommio;
pub mod ring;
pub mod tokio_uring;

/// Bytes of the body that every request gets.
pub const BODY_SIZE: usize = 2048;

/// The three ways to write a server here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// The io-uring crate: multishot accept and receive, provided buffers, one send.
    Ring,
    /// tokio-uring 0.5.
    TokioUring,
    /// glommio 0.9.
    Glommio,
}

impl Style {
    /// As the command line and the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::TokioUring => "tokio-uring",
            Self::Glommio => "glommio",
        }
    }
}

/// Serves on this loopback port until the process is ended.
pub fn serve(style: Style, port: u16) -> std::io::Result<()> {
    match style {
        Style::Ring => ring::serve(port),
        Style::TokioUring => tokio_uring::serve(port),
        Style::Glommio => glommio::serve(port),
    }
}

/// Head and body of the one response.
fn response() -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nServer: runtimes\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {BODY_SIZE}\r\nConnection: keep-alive\r\nAccept-Ranges: bytes\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + BODY_SIZE, b'x');
    bytes
}

/// Counts ends of request heads in a connection's bytes, however these are cut.
#[derive(Clone, Copy, Debug, Default)]
struct HeadEnds {
    /// Bytes of `\r\n\r\n` that the last bytes have matched.
    matched: u8,
}

impl HeadEnds {
    /// How many heads end in these bytes.
    fn count(&mut self, bytes: &[u8]) -> usize {
        // Nearly always a whole head: then the end is looked at, and the middle only scanned once.
        let mut ends = 0;
        for &byte in bytes {
            self.matched = match (self.matched, byte) {
                (0 | 2, b'\r') => self.matched + 1,
                (1 | 3, b'\n') => self.matched + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
            if self.matched == 4 {
                ends += 1;
                self.matched = 0;
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_however_they_are_cut() {
        let text = b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\nGET";
        for cut in 0..=text.len() {
            let mut ends = HeadEnds::default();
            assert_eq!(ends.count(&text[..cut]) + ends.count(&text[cut..]), 2, "cut at {cut}");
        }
        assert_eq!(HeadEnds::default().count(b"\r\n\r\r\n\r\n"), 1);
    }

    #[test]
    fn the_response_is_as_long_as_it_says() {
        let bytes = response();
        let head = bytes.len() - BODY_SIZE;
        assert!(bytes[..head].ends_with(b"\r\n\r\n"));
        assert_eq!(HeadEnds::default().count(&bytes), 1);
    }
}
