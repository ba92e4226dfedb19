//! Which session a request belongs to: one subscriber, one device, one content.
//!
//! A device is the session of its token, the network that it asks from, and what its player says
//! of itself. A content is a channel, or a film with everything that belongs to it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::LazyLock;

use ahash::RandomState;

use crate::units::{Class, extension, split_last};

/// Stands for a session among shards and control: a hash with a key of this process, so that
/// nobody can find two sessions with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// As the API writes it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }

    /// What such a text stands for.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().and_then(NonZeroU64::new).map(Self)
    }
}

/// What a request says of its session.
#[derive(Clone, Copy, Debug)]
pub struct Viewing<'r> {
    /// The subscriber; none = nobody of the registry.
    pub subscriber: Option<NonZeroU32>,
    /// The device's session, as its token says.
    pub token: u64,
    /// Where the request comes from.
    pub peer: Option<IpAddr>,
    /// What the player says of itself.
    pub agent: &'r [u8],
    /// What is watched.
    pub content: Content<'r>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content<'p> {
    /// The channel of this id.
    Channel(&'p str),
    /// The film at this path below `/vod/`.
    Film(&'p str),
}

impl<'p> Content<'p> {
    /// Of a file at this path below `/vod/`, which is in no pack. A film is the folder of its
    /// segments and playlists; whatever is a film by itself is one of its own.
    #[must_use]
    pub fn of_file(path: &'p str, class: Class) -> Self {
        let (folder, name) = split_last(path, b'/');
        let extension = extension(name);
        let is_part_of_one = match class {
            Class::Playlist | Class::Manifest | Class::Init | Class::Part => true,
            Class::Segment => PARTS_OF_FILMS.contains(&extension),
            Class::Api | Class::Other => false,
        };
        Self::Film(if is_part_of_one && !folder.is_empty() { folder } else { path })
    }

    /// Whether they are parts of the same: a film's playlists, pictures and sounds may lie in
    /// folders of their own.
    #[must_use]
    pub fn is_of(self, other: Content<'_>) -> bool {
        fn is_below(path: &str, folder: &str) -> bool {
            path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        }
        match (self, other) {
            (Self::Film(one), Content::Film(other)) => {
                one == other || is_below(one, other) || is_below(other, one)
            }
            (one, other) => one == other,
        }
    }
}

/// Extensions of what is only ever a part of a film.
const PARTS_OF_FILMS: &[&str] =
    &["ts", "m2ts", "m4s", "cmfv", "cmfa", "cmft", "aac", "ac3", "ec3", "vtt", "webvtt", "ttml"];

impl fmt::Display for Content<'_> {
    /// As bouquets write it: `tv/news`, `vod/films/a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(id) => write!(f, "tv/{id}"),
            Self::Film(path) => write!(f, "vod/{path}"),
        }
    }
}

/// What is watched, kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// See `Content`.
    Channel(Box<str>),
    /// See `Content`.
    Film(Box<str>),
}

impl From<Content<'_>> for Watched {
    fn from(content: Content<'_>) -> Self {
        match content {
            Content::Channel(id) => Self::Channel(id.into()),
            Content::Film(path) => Self::Film(path.into()),
        }
    }
}

impl Watched {
    /// What it is.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        match self {
            Self::Channel(id) => Content::Channel(id),
            Self::Film(path) => Content::Film(path),
        }
    }
}

impl Viewing<'_> {
    /// The session's name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let device = (self.subscriber, self.token, self.peer.map(network), self.agent);
        let hash = KEYS.hash_one((device, self.content));
        SessionId(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MAX))
    }
}

/// The network of a client: its address, or the /64 of it that one subscriber line has (RFC 6177).
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewing<'r>(peer: &str, agent: &'r str, content: Content<'r>) -> Viewing<'r> {
        let (subscriber, peer) = (NonZeroU32::new(7), peer.parse().ok());
        Viewing { subscriber, token: 1, peer, agent: agent.as_bytes(), content }
    }

    #[test]
    fn another_viewer_device_or_content_is_another_session() {
        let news = Content::Channel("news");
        let one = viewing("192.0.2.1", "VLC", news);
        assert_eq!(one.id(), viewing("::ffff:192.0.2.1", "VLC", news).id());
        for other in [
            viewing("192.0.2.2", "VLC", news),
            viewing("nowhere", "VLC", news),
            viewing("192.0.2.1", "Kodi", news),
            viewing("192.0.2.1", "VLC", Content::Channel("sport")),
            viewing("192.0.2.1", "VLC", Content::Film("news")),
            Viewing { token: 2, ..one },
            Viewing { subscriber: None, ..one },
        ] {
            assert_ne!(one.id(), other.id(), "{other:?}");
        }
        let home = viewing("2001:db8::1", "VLC", news);
        assert_eq!(home.id(), viewing("2001:db8::ffff:1", "VLC", news).id());
        assert_ne!(home.id(), viewing("2001:db8:0:1::1", "VLC", news).id());
    }

    #[test]
    fn a_film_in_a_folder_is_the_folder_or_the_file() {
        for (path, class, expected) in [
            ("films/a/master.m3u8", Class::Playlist, "films/a"),
            ("films/a/720p/7.m4s", Class::Segment, "films/a/720p"),
            ("films/a.mp4", Class::Segment, "films/a.mp4"),
            ("a.m3u8", Class::Playlist, "a.m3u8"),
            ("films/a/poster.jpg", Class::Other, "films/a/poster.jpg"),
            ("films/a/de.vtt", Class::Segment, "films/a"),
        ] {
            assert_eq!(Content::of_file(path, class), Content::Film(expected));
        }
        let film = Content::Film("films/a");
        for (other, expected) in [
            (film, true),
            (Content::Film("films/a/720p"), true),
            (Content::Film("films/ab"), false),
            (Content::Film("films/b"), false),
            (Content::Channel("films/a"), false),
        ] {
            assert_eq!((film.is_of(other), other.is_of(film)), (expected, expected), "{other:?}");
        }
    }

    #[test]
    fn a_name_is_written_and_read() {
        let id = viewing("192.0.2.1", "VLC", Content::Channel("news")).id();
        assert_eq!(SessionId::of_text(&id.text()), Some(id));
        for wrong in ["", "0000000000000000", "12", "000000000000000g", "+000000000000001"] {
            assert_eq!(SessionId::of_text(wrong), None, "{wrong}");
        }
    }
}
