//! The time of the media, which may run faster than ours and begin elsewhere.

use std::time::{Duration, Instant};

/// Media time from a moment on, at a speed.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Media time then, in ns since the epoch.
    origin: u64,
    speed: f64,
}

impl Clock {
    /// From `origin` (ns since the epoch), `speed` times as fast as ours.
    pub fn start(started: Instant, origin: u64, speed: f64) -> Self {
        Self { started, origin, speed }
    }

    /// Media time now, in ns since the epoch.
    pub fn media(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.started).as_nanos() as f64;
        self.origin.saturating_add((passed * self.speed) as u64)
    }

    /// When a moment of the media is reached. What is before the origin, is at once.
    pub fn due(&self, media: u64) -> Instant {
        self.started + self.ours(media.saturating_sub(self.origin))
    }

    /// How long so many ns of media take.
    pub fn ours(&self, media: u64) -> Duration {
        Duration::from_nanos((media as f64 / self.speed) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_runs_at_its_speed() {
        let now = Instant::now();
        let clock = Clock::start(now, 1_000_000_000, 4.0);
        assert_eq!(clock.due(3_000_000_000), now + Duration::from_millis(500));
        assert_eq!(clock.media(now + Duration::from_millis(500)), 3_000_000_000);
        assert_eq!(clock.due(0), now);
    }
}
