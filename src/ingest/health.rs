//! How channels are: what an operator wants to know of each, asked of the live thread.
//!
//! Nothing is gathered for nobody: the live thread writes it down when somebody asks. Questions
//! are bounded, and whoever finds no room asks again later.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use super::child::health::ChildHealth;
use crate::config::HEALTH_QUESTIONS_MAX;

/// A channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ChannelHealth)]
pub struct Health {
    /// Its name in URLs.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What comes from its encoders.
    pub input: Input,
    /// Length of a segment, in milliseconds; none as long as it is being learnt.
    pub segment_ms: Option<u64>,
    /// Length of a part.
    pub part_ms: Option<u64>,
    /// How much playlists list.
    pub window_ms: u64,
    /// What came of the chunks that were pushed.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub chunks: BTreeMap<&'static str, u64>,
    /// What went wrong last.
    pub last_error: Option<Fault>,
    /// What ffmpeg reads for it, if that is where it comes from.
    pub ffmpeg: Option<ChildHealth>,
    /// In the order in which they came.
    pub renditions: Vec<RenditionHealth>,
}

/// What comes from an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChannelInput)]
pub enum Input {
    /// Nothing has come.
    Waiting,
    /// Media comes, and lengths are being learnt from it.
    Learning,
    /// Media comes.
    Live,
    /// None comes any more; gaps are published.
    Silent,
}

/// Something that went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// Milliseconds of Unix time.
    pub unix_ms: i64,
    /// What, in words.
    pub what: String,
}

/// A rendition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RenditionHealth {
    /// Its name in the channel.
    pub name: String,
    /// `video`, `audio` or `text`.
    pub carries: &'static str,
    /// As `CODECS` lists them.
    pub codecs: String,
    /// Pixels across and down.
    pub resolution: Option<(u16, u16)>,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// What comes of it.
    pub input: Input,
    /// Milliseconds since its last chunk came.
    pub silent_ms: Option<u64>,
    /// Bits a second: of the largest segment, and on average.
    pub peak_bandwidth: u64,
    /// See above.
    pub average_bandwidth: u64,
    /// What is listed.
    pub segments: SegmentsHealth,
    /// What came of it that was published.
    pub tally: Tally,
    /// Milliseconds by which chunks come behind their end, at best, by this machine's clock.
    pub delay_ms: Option<i64>,
    /// Milliseconds by which the encoder's clock has fallen behind since its first minute.
    pub drift_ms: Option<i64>,
    /// Milliseconds from the moment that the encoder says it took a picture (`prft`).
    pub capture_delay_ms: Option<i64>,
}

/// Segments that are listed.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct SegmentsHealth {
    /// How many.
    pub listed: usize,
    /// Gaps among them.
    pub gaps: usize,
    /// The number of the newest one.
    pub newest: Option<i64>,
    /// The discontinuity sequence number of the newest one.
    pub discontinuity: Option<u64>,
    /// Milliseconds of the shortest whole one.
    pub shortest_ms: Option<u64>,
    /// Of the longest one.
    pub longest_ms: Option<u64>,
}

/// What came of a rendition since it began.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = RenditionTally)]
pub struct Tally {
    /// Segments that did not come, and are published as gaps.
    pub missing_segments: u64,
    /// Segments longer than EXT-X-TARGETDURATION allows.
    pub long_segments: u64,
    /// Chunks whose time had gone by when they came.
    pub late_chunks: u64,
    /// Chunks with other bytes than were published for their time.
    pub conflicting_chunks: u64,
}

/// Where the live thread is asked.
#[derive(Clone, Debug)]
pub struct Desk {
    questions: mpsc::Sender<oneshot::Sender<Vec<Health>>>,
}

/// What is asked there.
pub type Questions = mpsc::Receiver<oneshot::Sender<Vec<Health>>>;

/// A desk, and where its questions come.
#[must_use]
pub fn desk() -> (Desk, Questions) {
    let (questions, asked) = mpsc::channel(HEALTH_QUESTIONS_MAX);
    (Desk { questions }, asked)
}

impl Desk {
    /// How all channels are, by their ids; none if the live thread has too much to do.
    pub async fn ask(&self) -> Option<Vec<Health>> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(reply).ok()?;
        let mut channels = answer.await.ok()?;
        channels.sort_by(|one, other| one.id.cmp(&other.id));
        Some(channels)
    }
}
