//! The glommio style: one executor, one task a connection.

use std::io;
use std::net::Ipv4Addr;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

use super::{HeadEnds, response};

/// Serves until the process is ended.
pub fn serve(port: u16) -> io::Result<()> {
    // Unbound: the process has been given its CPU by whoever started it.
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().map_err(|error| {
        io::Error::other(format!("{error} (glommio needs 512 KiB of memlock: ulimit -l)"))
    })?;
    let response: &'static [u8] = response().leak();
    executor.run(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            glommio::spawn_local(async move {
                // The peer has gone: nothing is left to tell it.
                let _ = answer(stream, response).await;
            })
            .detach();
        }
    })
}

async fn answer(mut stream: TcpStream, response: &'static [u8]) -> io::Result<()> {
    let mut heads = HeadEnds::default();
    let mut buffer = vec![0; 2048];
    loop {
        let size = stream.read(&mut buffer).await?;
        if size == 0 {
            return Ok(());
        }
        for _ in 0..heads.count(&buffer[..size]) {
            stream.write_all(response).await?;
        }
    }
}
