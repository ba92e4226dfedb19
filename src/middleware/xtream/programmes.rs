//! What is on, on one channel: a thread of its own reads the guide for whoever asks.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::oneshot;

use crate::config::CATALOGUES_WAITING_MAX;
use crate::middleware::guide::listings::{self, Listings};
use crate::middleware::guide::store::StoreError;
use crate::middleware::guide::{Guide, Reader};
use crate::units::UnixTime;

/// What is asked for.
#[derive(Debug)]
struct Asked {
    /// The channel's id and number.
    channel: (String, u32),
    wanted: Wanted,
    now: UnixTime,
    tell: oneshot::Sender<Listings>,
}

/// Which programmes of a channel.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// The next, with the one that is on: so many.
    Next(usize),
    /// All, as far back as these days of it can be watched.
    All {
        /// Days.
        archive_days: u32,
    },
}

/// The way to the guide.
#[derive(Clone, Debug)]
pub struct Programmes(SyncSender<Asked>);

impl Programmes {
    /// Starts the thread that reads.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start(guide: Guide) -> io::Result<Self> {
        let (asked, all) = sync_channel::<Asked>(CATALOGUES_WAITING_MAX);
        std::thread::Builder::new().name("programmes".to_owned()).spawn(move || {
            let mut reader = None;
            for asked in all {
                if reader.is_none() {
                    // There is no store before the first guide was imported.
                    reader = guide.reader().ok();
                }
                let listings = reader.as_ref().map(|reader| read(reader, &asked));
                let listings = listings.transpose().unwrap_or_else(|error| {
                    tracing::error!(%error, "the guide can't be read");
                    reader = None;
                    None
                });
                let _ = asked.tell.send(listings.unwrap_or_default());
            }
        })?;
        Ok(Self(asked))
    }

    /// Programmes of the channel of this id and number; none where too many ask.
    pub async fn of(&self, (id, number): (&str, u32), wanted: Wanted, now: UnixTime) -> Listings {
        let (tell, tells) = oneshot::channel();
        let asked = Asked { channel: (id.to_owned(), number), wanted, now, tell };
        if self.0.try_send(asked).is_err() {
            return Listings::default();
        }
        tells.await.unwrap_or_default()
    }
}

fn read(reader: &Reader, asked: &Asked) -> Result<Listings, StoreError> {
    let (id, number) = &asked.channel;
    let channel = (id.as_str(), *number);
    match asked.wanted {
        Wanted::Next(limit) => listings::short(reader, channel, Some(limit), asked.now),
        Wanted::All { archive_days } => {
            listings::table(reader, channel, u64::from(archive_days) * 86_400, asked.now)
        }
    }
}
