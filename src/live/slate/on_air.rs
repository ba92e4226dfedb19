//! Which channels are on air: what has come of them in, out which have been silent for longer than
//! their window is.

use ahash::AHashMap;

use crate::config::Access;
use crate::units::Ticks;

/// A channel that encoders push to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name in URLs.
    pub id: Box<str>,
    /// Who may watch it.
    pub access: Access,
    /// After so many milliseconds without news nothing is left of what its playlists list.
    pub window_ms: u64,
}

/// When each channel was heard of.
#[derive(Debug, Default)]
pub struct OnAir {
    channels: AHashMap<Box<str>, Heard>,
}

#[derive(Debug)]
struct Heard {
    access: Access,
    window_ms: u64,
    at: Ticks,
}

impl OnAir {
    /// These are looked at. They are taken to be heard of now.
    #[must_use]
    pub fn new(channels: &[Watched], now: Ticks) -> Self {
        let heard = |of: &Watched| {
            let heard = Heard { access: of.access, window_ms: of.window_ms, at: now };
            (of.id.clone(), heard)
        };
        Self { channels: channels.iter().map(heard).collect() }
    }

    /// Whether any channel is looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Something of a channel has come, at this path: `/tv/news/video/1.m4s`.
    pub fn hear(&mut self, path: &str, now: Ticks) {
        let id = path.strip_prefix("/tv/").and_then(|below| below.split('/').next());
        if let Some(heard) = id.and_then(|id| self.channels.get_mut(id)) {
            heard.at = now;
        }
    }

    /// Whether this is where a player opens a channel that is off air, and who may watch that.
    #[must_use]
    pub fn off_air(&self, path: &str, now: Ticks) -> Option<Access> {
        if self.channels.is_empty() {
            return None;
        }
        let (id, name) = path.strip_prefix("/tv/")?.split_once('/')?;
        let opens = !name.contains('/') && (name.ends_with(".m3u8") || name == "stream.ts");
        let heard = self.channels.get(id).filter(|_| opens)?;
        (now >= heard.at.plus(heard.window_ms)).then_some(heard.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_off_air_when_nothing_was_heard_of_it_for_a_window() {
        let window_ms = 60_000;
        let news = Watched { id: "news".into(), access: Access::Token, window_ms };
        let mut on_air = OnAir::new(&[news], Ticks(1_000));
        let at = |on_air: &OnAir, path: &str, ms| on_air.off_air(path, Ticks(ms)).is_some();
        assert!(!at(&on_air, "/tv/news/master.m3u8", 60_999));
        for (path, expected) in [
            ("/tv/news/master.m3u8", true),
            ("/tv/news/ll.m3u8", true),
            ("/tv/news/stream.ts", true),
            ("/tv/news/manifest.mpd", false),
            ("/tv/news/v/index.m3u8", false),
            ("/tv/news/archive/1-2/master.m3u8", false),
            ("/tv/newsroom/master.m3u8", false),
            ("/tv/news", false),
            ("/vod/news/master.m3u8", false),
        ] {
            assert_eq!(at(&on_air, path, 61_000), expected, "{path}");
        }
        on_air.hear("/tv/other/v/1.m4s", Ticks(61_000));
        assert!(at(&on_air, "/tv/news/master.m3u8", 61_000));
        on_air.hear("/tv/news/v/1.m4s", Ticks(61_000));
        assert!(!at(&on_air, "/tv/news/master.m3u8", 61_000));
        assert_eq!(on_air.off_air("/tv/news/stream.ts", Ticks(121_000)), Some(Access::Token));
        assert!(!at(&OnAir::default(), "/tv/news/master.m3u8", u64::MAX));
    }
}
