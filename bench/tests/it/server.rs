//! A tiny server whose path says how it behaves, well or badly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::listen;

/// Starts it; it ends with the test process.
pub fn start() -> SocketAddr {
    let turns = AtomicUsize::new(0);
    listen::start(move |stream| serve(stream, &turns))
}

/// The tokio-uring server of `runtimes`, in a process of its own.
pub struct Alone {
    pub address: SocketAddr,
    pub process: Child,
}

impl Alone {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let mut process = Command::new(env!("CARGO_BIN_EXE_shardcast-bench"))
            .args(["runtimes", "--style", "tokio-uring", "--serve"])
            .arg(address.port().to_string())
            .spawn()
            .expect("the program was built for this test");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            let ended = process.try_wait().expect("it is a child of this process");
            assert!(ended.is_none() && Instant::now() < deadline, "no server: {ended:?}");
            thread::sleep(Duration::from_millis(10));
        }
        Self { address, process }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.process.kill().expect("it is a child of this process");
        self.process.wait().expect("it was killed");
    }
}

fn serve(mut stream: TcpStream, turns: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let size = stream.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&buffer[..size]);
        while let Some(end) = pending.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = pending.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            if !answer(&mut stream, path, turns)? {
                return Ok(());
            }
        }
    }
}

/// Answers one request; `turns` counts those of all connections. Whether the connection goes on.
fn answer(stream: &mut TcpStream, path: &str, turns: &AtomicUsize) -> std::io::Result<bool> {
    let counted = |status: &str, size: usize, given: usize| {
        let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + given, b'x');
        bytes
    };
    match path {
        "/2k" => stream.write_all(&counted("200 OK", 2048, 2048))?,
        "/1m" => stream.write_all(&counted("200 OK", 1 << 20, 1 << 20))?,
        "/chunked" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(format!("{head}5\r\nhello\r\n0\r\n\r\n").as_bytes())?;
        }
        "/close" => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(head.as_bytes())?;
            return Ok(false);
        }
        "/until-close" => {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")?;
            return Ok(false);
        }
        // The first request is the look before a run, so these are good at first.
        "/sometimes-404" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => stream.write_all(&counted("404 Not Found", 1, 1))?,
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        "/sometimes-longer" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => stream.write_all(&counted("200 OK", 11, 11))?,
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        "/sometimes-short" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => {
                stream.write_all(&counted("200 OK", 10, 9))?;
                return Ok(false);
            }
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        "/sometimes-more" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => stream.write_all(&counted("200 OK", 10, 12))?,
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        "/sometimes-garbage" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => stream.write_all(b"SSH-2.0-nonsense\r\n\r\n")?,
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        "/sometimes-silent" => match turns.fetch_add(1, Ordering::Relaxed) {
            turn if turn % 8 == 7 => return Ok(false),
            _ => stream.write_all(&counted("200 OK", 10, 10))?,
        },
        _ => stream.write_all(&counted("404 Not Found", 0, 0))?,
    }
    Ok(true)
}
