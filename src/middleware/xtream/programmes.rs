//! What is on, on one channel: a thread of its own reads the guide for whoever asks.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::CATALOGUES_WAITING_MAX;
use crate::middleware::guide::{Guide, Programme};
use crate::units::UnixTime;

/// How far the future of a full guide goes, in seconds: ten days.
const AHEAD_SECONDS: u64 = 10 * 86_400;

/// What is asked for.
#[derive(Debug)]
struct Asked {
    channel: String,
    window: (UnixTime, UnixTime),
    tell: oneshot::Sender<Vec<Programme>>,
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
            for Asked { channel, window, tell } in all {
                if reader.is_none() {
                    // There is no store before the first guide was imported.
                    reader = guide.reader().ok();
                }
                let read = reader.as_ref().map(|reader| reader.programmes(&channel, window));
                let programmes = match read {
                    Some(Ok(programmes)) => programmes,
                    Some(Err(error)) => {
                        tracing::error!(%error, "the guide can't be read");
                        reader = None;
                        Vec::new()
                    }
                    None => Vec::new(),
                };
                let _ = tell.send(programmes);
            }
        })?;
        Ok(Self(asked))
    }

    async fn between(&self, channel: &str, window: (UnixTime, UnixTime)) -> Vec<Programme> {
        let (tell, tells) = oneshot::channel();
        let asked = Asked { channel: channel.to_owned(), window, tell };
        if self.0.try_send(asked).is_err() {
            return Vec::new();
        }
        tells.await.unwrap_or_default()
    }

    /// The next of a channel, with the one that is on.
    pub async fn next(
        &self,
        (channel, number): (&str, u32),
        limit: usize,
        now: UnixTime,
    ) -> Vec<Value> {
        let until = UnixTime(now.0.saturating_add(AHEAD_SECONDS));
        let programmes = self.between(channel, (now, until)).await;
        programmes.iter().take(limit).map(|of| listing((channel, number), of)).collect()
    }

    /// All of a channel, as far back as these days of it can be watched.
    pub async fn all(
        &self,
        (channel, number): (&str, u32),
        archive_days: u32,
        now: UnixTime,
    ) -> Vec<Value> {
        let back = u64::from(archive_days) * 86_400;
        let (from, until) = (now.0.saturating_sub(back), now.0.saturating_add(AHEAD_SECONDS));
        let programmes = self.between(channel, (UnixTime(from), UnixTime(until))).await;
        let told = programmes.iter().map(|of| {
            let mut listing = listing((channel, number), of);
            let is_on = of.start <= now && of.stop > now;
            let is_kept = archive_days > 0 && of.start < now && of.start.0 >= from;
            listing["now_playing"] = json!(u8::from(is_on));
            listing["has_archive"] = json!(u8::from(is_kept));
            listing
        });
        told.collect()
    }
}

fn listing((channel, number): (&str, u32), of: &Programme) -> Value {
    let time = |at: UnixTime| at.iso().replace('T', " ").replace('Z', "");
    json!({
        "id": of.start.0.to_string(),
        "epg_id": number.to_string(),
        "title": STANDARD.encode(&of.title),
        "lang": of.language,
        "start": time(of.start),
        "end": time(of.stop),
        "description": STANDARD.encode(&of.description),
        "channel_id": channel,
        "start_timestamp": of.start.0.to_string(),
        "stop_timestamp": of.stop.0.to_string(),
        "stream_id": number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programme_is_told_in_utc_and_its_texts_in_base64() {
        let of = Programme {
            start: UnixTime(1_800_000_000),
            stop: UnixTime(1_800_003_600),
            title: "Ä".to_owned(),
            language: "de".to_owned(),
            ..Programme::default()
        };
        let told = listing(("news", 7), &of);
        assert_eq!(told["title"], "w4Q=");
        assert_eq!(
            (&told["start"], &told["end"]),
            (&json!("2027-01-15 08:00:00"), &json!("2027-01-15 09:00:00"))
        );
        assert_eq!(told["start_timestamp"], "1800000000");
    }
}
