//! A channel that a verb pushes by itself, and the words that `parked` and `onecopy` share.

use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::duration::duration;
use super::failure::Failure;
use crate::feed::compose::Names;
use crate::feed::noise::{self, Shape};
use crate::feed::pusher::Pusher;
use crate::load::fetch::{self, Fetcher};
use crate::load::urls;
use crate::load::viewers;

/// How far in the past its media lies, so that it may run ahead of the clock.
const BEHIND: Duration = Duration::from_secs(3600);

/// A playlist that has not changed for so long holds all that was pushed.
const STILL_FOR: Duration = Duration::from_millis(300);

/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The one rendition.
const RENDITION: &str = "r0";

/// A channel of noise that this program pushes, a part at a time, when it wants to
#[derive(Args, Debug)]
pub struct Station {
    /// Where channels are watched, such as http://127.0.0.1:8080/tv
    url: String,
    /// Where encoders push, such as http://127.0.0.1:8082/ingest
    #[arg(long, value_name = "URL")]
    ingest: String,
    /// The channel; nobody else may push to it
    #[arg(long, value_name = "ID", default_value = "bench")]
    channel: String,
    /// Length of its segments
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    segment: Duration,
    /// Length of its parts
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    part: Duration,
    /// How much of it the server lists: as much is pushed before anything is measured
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    window: Duration,
    /// Bits a second of its media
    #[arg(long, value_name = "BITS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(400..=100_000_000))]
    bit_rate: u64,
    /// Print what shardcast's config must have for this, and end
    #[arg(long)]
    print_config: bool,
}

/// The channel, on the air.
pub struct OnAir {
    /// Pushes it.
    pub pusher: Pusher,
    /// Where viewers connect to.
    pub address: SocketAddr,
    authority: String,
    folder: String,
}

impl Station {
    /// Whether that was all; prints the config then.
    pub fn prints_config(&self) -> bool {
        if self.print_config {
            print!("{}", config([self.channel.as_str()], self.segment, self.part, self.window));
        }
        self.print_config
    }

    /// Pushes a window of it.
    pub fn start(&self) -> Result<OnAir, Failure> {
        let milliseconds = |duration: Duration| duration.as_millis() as u64;
        let (segment_ms, chunk_ms) = (milliseconds(self.segment), milliseconds(self.part));
        let shape = Shape { segment_ms, chunk_ms, bits_per_second: self.bit_rate };
        let track = noise::track(shape).map_err(Failure::Usage)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = milliseconds(now - BEHIND.min(now)) / segment_ms;
        let (authority, path) = urls::split(&self.url).map_err(Failure::Usage)?;
        let address = urls::resolve(authority).map_err(Failure::Usage)?;
        let folder = format!("{}/{}/{RENDITION}", path.trim_end_matches('/'), self.channel);
        let names = Names { channel: self.channel.clone(), rendition: RENDITION.to_owned() };
        let playlist = format!("{folder}/ll.m3u8");
        let mut viewer = Fetcher::new(&self.url).map_err(Failure::Usage)?;
        let number = next_segment(&mut viewer, &playlist)?.unwrap_or(number);
        let mut pusher =
            Pusher::start(&self.ingest, names, Rc::new(track), number).map_err(Failure::Failed)?;
        for _ in 0..milliseconds(self.window).div_ceil(chunk_ms.max(1)) + 1 {
            pusher.push().map_err(Failure::Failed)?;
        }
        while !pusher.is_between() {
            pusher.push().map_err(Failure::Failed)?;
        }
        pusher.settle().map_err(Failure::Failed)?;
        wait_until_still(&mut viewer, &playlist)?;
        Ok(OnAir { pusher, address, authority: authority.to_owned(), folder })
    }
}

impl OnAir {
    /// A request for a file of the rendition.
    pub fn request(&self, name: &str) -> Vec<u8> {
        let Self { authority, folder, .. } = self;
        format!("GET {folder}/{name} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes()
    }

    /// A request for the playlist that is answered when this part is there.
    pub fn reload(&self, (segment, part): (u64, u64)) -> Vec<u8> {
        self.request(&viewers::reload(segment, part))
    }
}

/// Waits until everything that was taken is listed, too: the playlist has not changed for a while.
fn wait_until_still(viewer: &mut Fetcher, playlist: &str) -> Result<(), Failure> {
    let mut look = || viewer.get(playlist, fetch::PATIENCE).map_err(Failure::Failed);
    let deadline = Instant::now() + fetch::PATIENCE;
    let (mut last, mut since) = (look()?, Instant::now());
    while last.status != 200 || since.elapsed() < STILL_FOR {
        if Instant::now() > deadline {
            let text = format!("{playlist} is not still: status {}", last.status);
            return Err(Failure::Failed(text));
        }
        thread::sleep(LOOK_EVERY);
        let next = look()?;
        if next.body != last.body || next.status != last.status {
            (last, since) = (next, Instant::now());
        }
    }
    Ok(())
}

/// The segment with which media can go on that an earlier run has pushed.
fn next_segment(viewer: &mut Fetcher, playlist: &str) -> Result<Option<u64>, Failure> {
    let found = viewer.get(playlist, fetch::PATIENCE).map_err(Failure::Failed)?;
    if found.status != 200 {
        return Ok(None);
    }
    let ((segment, part), _) = hint(&found.body)?;
    Ok(Some(if part == 0 { segment } else { segment + 1 }))
}

/// What comes next, as the hint of a playlist says: segment and part, and the name of its file.
pub fn hint(playlist: &[u8]) -> Result<((u64, u64), String), Failure> {
    viewers::hint(playlist).ok_or_else(|| {
        let start: String = String::from_utf8_lossy(playlist).chars().take(200).collect();
        Failure::Failed(format!("the playlist hints at no part 'N.P.…': {start}"))
    })
}

/// What shardcast's config must have for these channels.
pub fn config<'n>(
    names: impl IntoIterator<Item = &'n str>,
    segment: Duration,
    part: Duration,
    window: Duration,
) -> String {
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
    let channels = names.into_iter().map(|name| {
        format!(
            "[[channel]]\nid = \"{name}\"\nsegment = \"{}\"\npart = \"{}\"\nwindow = \"{}\"\n\
             # It is pushed when the measurement wants it, and not when the clock says so.\n\
             patience = \"1h\"\n",
            milliseconds(segment),
            milliseconds(part),
            milliseconds(window)
        )
    });
    channels.collect()
}
