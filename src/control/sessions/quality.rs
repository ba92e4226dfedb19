//! What a session's player said of itself, added up over all shards.

use std::num::NonZeroU64;

use serde::Serialize;
use utoipa::ToSchema;

use crate::viewer::cmcd::ObjectKind;
use crate::viewer::players::Heard;

/// What a player said of itself.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct Player {
    /// How often it said something.
    requests: u64,
    /// How often it had nothing to play,
    stalls: u64,
    /// and how often it began.
    starts: u64,
    /// The least that it had to play, in milliseconds.
    buffer_min_ms: Option<u32>,
    /// What it takes the line for, in kilobits a second.
    throughput_kbps: Option<u32>,
    /// The bit rate of what is played.
    media_kbps: Option<u32>,
    /// What it fetched last.
    object: Option<&'static str>,
    /// What it calls its session.
    player_session: Option<String>,
}

/// How a session looks from its player's side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    requests: u64,
    stalls: u64,
    starts: u64,
    buffer_ms_min: Option<u32>,
    throughput_kbps: Option<u32>,
    kind: Option<ObjectKind>,
    media_kbps: Option<u32>,
    player: Option<NonZeroU64>,
}

impl Quality {
    /// A shard tells what it heard since it told last.
    pub fn add(&mut self, heard: &Heard) {
        self.requests += u64::from(heard.requests);
        self.stalls += u64::from(heard.stalls);
        self.starts += u64::from(heard.starts);
        self.buffer_ms_min = [self.buffer_ms_min, heard.buffer_ms_min].into_iter().flatten().min();
        self.throughput_kbps = heard.throughput_kbps.or(self.throughput_kbps);
        self.kind = heard.kind.or(self.kind);
        self.media_kbps = heard.media_kbps.or(self.media_kbps);
        self.player = heard.player.or(self.player);
    }

    /// As the API tells it; none for a player that said nothing.
    pub fn told(&self) -> Option<Player> {
        if self.requests == 0 {
            return None;
        }
        Some(Player {
            requests: self.requests,
            stalls: self.stalls,
            starts: self.starts,
            buffer_min_ms: self.buffer_ms_min,
            throughput_kbps: self.throughput_kbps,
            media_kbps: self.media_kbps,
            object: self.kind.map(ObjectKind::label),
            player_session: self.player.map(|player| format!("{player:016x}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shards_heard_is_added_up() {
        let mut quality = Quality::default();
        assert_eq!(quality.told(), None);
        let heard = Heard {
            requests: 2,
            stalls: 1,
            starts: 1,
            buffer_ms_min: Some(900),
            throughput_kbps: Some(4_000),
            kind: Some(ObjectKind::Video),
            media_kbps: Some(3_000),
            player: NonZeroU64::new(0xab),
            hurries: false,
        };
        quality.add(&heard);
        quality.add(&Heard { requests: 1, buffer_ms_min: Some(2_000), ..Heard::default() });
        // It is told because of what was sent; what is known of its media is told every time.
        quality.add(&Heard { media_kbps: Some(4_000), ..Heard::default() });
        let expected = Player {
            requests: 3,
            stalls: 1,
            starts: 1,
            buffer_min_ms: Some(900),
            throughput_kbps: Some(4_000),
            media_kbps: Some(4_000),
            object: Some("video"),
            player_session: Some("00000000000000ab".to_owned()),
        };
        assert_eq!(quality.told(), Some(expected));
    }
}
