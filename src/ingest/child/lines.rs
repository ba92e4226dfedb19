//! The last lines that a child said, without what an operator must not show around.

use std::collections::VecDeque;

use crate::config::inputs::{CHILD_LINE_SIZE_MAX, CHILD_LINES_MAX, Input};

/// What every child says of itself again and again, and which tells nobody anything.
const NOISE: [&str; 6] = [
    "No trailing CRLF found in HTTP header",
    "Cannot use rename on non file protocol",
    "Producer Reference Time element",
    "No bit rate set for stream",
    "Opening '/proc/self/fd/0'",
    "Frame rate very high",
];

/// The last lines, and the one that is not whole.
#[derive(Debug, Default)]
pub struct Lines {
    last: VecDeque<String>,
    begun: Vec<u8>,
    /// Pieces of the input's URL.
    secrets: Vec<String>,
}

impl Lines {
    /// Hides what this input must not tell, from now on.
    pub fn hide(&mut self, input: &Input) {
        for secret in input.secrets() {
            if !self.secrets.iter().any(|known| known == secret) {
                self.secrets.push(secret.to_owned());
            }
        }
        self.secrets.sort_by_key(|one| std::cmp::Reverse(one.len()));
    }

    /// Takes bytes as they come.
    pub fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.begun);
                    self.add(&String::from_utf8_lossy(&line));
                }
                _ if self.begun.len() < CHILD_LINE_SIZE_MAX => self.begun.push(byte),
                _ => {}
            }
        }
    }

    /// Adds a line, if it says anything.
    pub fn add(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() || NOISE.iter().any(|noise| line.contains(noise)) {
            return;
        }
        if self.last.len() == CHILD_LINES_MAX {
            self.last.pop_front();
        }
        let line = self.hidden(line);
        self.last.push_back(line);
    }

    /// The lines, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// The last one.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.last.back().map(String::as_str)
    }

    fn hidden(&self, line: &str) -> String {
        let mut shown = urls_hidden(line);
        for secret in &self.secrets {
            shown = shown.replace(secret.as_str(), "***");
        }
        shown.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
    }
}

/// The line with no more of every URL than its scheme, host and port.
fn urls_hidden(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        shown += before;
        let end = behind.find(|c: char| c.is_whitespace() || "'\"<>,)".contains(c));
        let (url, after) = behind.split_at(end.unwrap_or(behind.len()));
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        shown += authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if url.len() > authority.len() {
            // What ffmpeg puts behind a URL stays.
            shown += if url.ends_with(':') { "/***:" } else { "/***" };
        }
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::inputs::{Place, Scheme};

    #[test]
    fn lines_are_put_together_and_the_last_are_kept() {
        let mut lines = Lines::default();
        lines.take(b"one\ntw");
        lines.take(b"o\r\n\nthr");
        assert_eq!(lines.all(), ["one", "two"]);
        lines.take(b"[http] [warning] No trailing CRLF found in HTTP header. Adding it.\n");
        lines.take(&[b'x'; 5000]);
        lines.take(b"\n\x1b[31mred\xff\n");
        assert_eq!(lines.all().len(), 4);
        assert_eq!(lines.newest(), Some(" [31mred\u{fffd}"));
        for number in 0..100 {
            lines.add(&format!("line {number}"));
        }
        assert_eq!(lines.all().len(), CHILD_LINES_MAX);
        assert_eq!(lines.newest(), Some("line 99"));
        assert!(lines.all().iter().all(|line| line.len() <= CHILD_LINE_SIZE_MAX + 8));
    }

    #[test]
    fn logins_paths_and_tokens_are_not_shown() {
        let mut lines = Lines::default();
        let url = "http://me:word9@host:81/live/user1/7.ts?token=abcdef";
        let scheme = Scheme::find("http").unwrap();
        let place = Place::Url { scheme, url: url.to_owned() };
        lines.hide(&Input { place, listens: false, is_paced: false });
        let mut check = |said: &str, shown: &str| {
            lines.add(said);
            assert_eq!(lines.newest(), Some(shown));
        };
        check(&format!("{url}: Connection refused"), "http://host:81/***: Connection refused");
        check("Opening 'https://cdn/x?sig=1' for reading", "Opening 'https://cdn/***' for reading");
        check("tcp://host:81 failed", "tcp://host:81 failed");
        check("tcp://host:81: Connection refused", "tcp://host:81: Connection refused");
        check("unexpected stream user1, and abcdef", "unexpected stream ***, and ***");
        check("Authorization: word9", "Authorization: ***");
        check("udp://@239.1.1.1:5: bind failed", "udp://239.1.1.1:5: bind failed");
    }
}
