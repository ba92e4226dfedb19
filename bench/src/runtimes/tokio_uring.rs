//! The tokio-uring style: one runtime, one task a connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio_uring::net::{TcpListener, TcpStream};

use super::{HeadEnds, response};

/// Serves until the process is ended.
pub fn serve(port: u16) -> io::Result<()> {
    // One response for the whole life of the process, so that sends can borrow it for ever.
    let response: &'static [u8] = response().leak();
    tokio_uring::start(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio_uring::spawn(async move {
                // The peer has gone: nothing is left to tell it.
                let _ = answer(stream, response).await;
            });
        }
    })
}

async fn answer(stream: TcpStream, response: &'static [u8]) -> io::Result<()> {
    let mut heads = HeadEnds::default();
    let mut buffer = vec![0; 2048];
    loop {
        let (result, returned) = stream.read(buffer).await;
        buffer = returned;
        let size = result?;
        if size == 0 {
            return Ok(());
        }
        for _ in 0..heads.count(&buffer[..size]) {
            stream.write_all(response).await.0?;
        }
    }
}
