//! How many places a subscriber watches at: sessions in, those that count out.
//!
//! People zap, go back, and walk from the Wi-Fi to the street, and are at one place all the time.
//! So what one device fetches counts twice only if it goes on with one content for
//! `CONTENTS_OVERLAP_MS` beside another; and what one player fetches in two networks, if it goes on
//! in one for `NETWORKS_OVERLAP_MS` beside the other. Two devices are always two.

use crate::config::{CONTENTS_OVERLAP_MS, NETWORKS_OVERLAP_MS, SILENCE_MS};
use crate::units::Ticks;

use super::table::{Handset, Session};

/// From when to when something was fetched.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Ticks,
    to: Ticks,
}

impl Window {
    fn of(session: &Session) -> Self {
        Self { from: session.began, to: session.seen }
    }

    fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    fn overlaps(self, other: Self, ms: u64) -> bool {
        self.to.min(other.to).since(self.from.max(other.from)) >= ms
    }
}

/// The places of the sessions that count.
#[must_use]
pub fn counted(sessions: &[Session]) -> Vec<usize> {
    let mut counted = Vec::new();
    for handset in handsets(sessions) {
        let networks = networks(sessions, handset);
        let windows: Vec<_> = networks.iter().map(|places| window(sessions, places)).collect();
        for network in together(&windows, NETWORKS_OVERLAP_MS) {
            counted.extend(contents(sessions, &networks[network]));
        }
    }
    counted
}

/// How many there may be: a player that was seen in another network a moment ago may have moved, or
/// may go on there.
#[must_use]
pub fn at_most(sessions: &[Session], now: Ticks) -> usize {
    let mut count = 0;
    for handset in handsets(sessions) {
        let networks = networks(sessions, handset);
        let is_recent = |places: &&Vec<usize>| now.since(window(sessions, places).to) < SILENCE_MS;
        let of = networks.iter().filter(is_recent).map(|places| contents(sessions, places).len());
        count += of.sum::<usize>().max(1);
    }
    count
}

fn handsets(sessions: &[Session]) -> Vec<&Handset> {
    let mut all: Vec<&Handset> = Vec::new();
    for session in sessions {
        if !all.contains(&&session.handset) {
            all.push(&session.handset);
        }
    }
    all
}

/// The places of a handset's sessions, a network.
fn networks(sessions: &[Session], handset: &Handset) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    for (place, session) in sessions.iter().enumerate() {
        if session.handset != *handset {
            continue;
        }
        let same = all.iter_mut().find(|places| sessions[places[0]].network == session.network);
        match same {
            Some(places) => places.push(place),
            None => all.push(vec![place]),
        }
    }
    all
}

fn window(sessions: &[Session], places: &[usize]) -> Window {
    let windows = places.iter().map(|place| Window::of(&sessions[*place]));
    windows.reduce(Window::with).expect("there is one")
}

/// Those of one device's sessions that count.
fn contents(sessions: &[Session], places: &[usize]) -> Vec<usize> {
    let windows: Vec<_> = places.iter().map(|place| Window::of(&sessions[*place])).collect();
    together(&windows, CONTENTS_OVERLAP_MS).into_iter().map(|at| places[at]).collect()
}

/// The newest, and what goes on beside it and beside each other.
fn together(windows: &[Window], ms: u64) -> Vec<usize> {
    let mut newest_first: Vec<_> = (0..windows.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse((windows[*at].to, windows[*at].from)));
    let mut together: Vec<usize> = Vec::new();
    for at in newest_first {
        if together.iter().all(|other| windows[*other].overlaps(windows[at], ms)) {
            together.push(at);
        }
    }
    together
}
