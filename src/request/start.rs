//! Addresses by which apps start something: user, password and a number, as elements of a path.
//!
//! `/live/{user}/{password}/{number}`, with `.ts`, `.m3u8` or nothing behind it, also without
//! `/live`; `/movie/…` and `/series/…`, with any extension. The path is decoded before it comes
//! here, once.

use crate::config::values::FIRST_ELEMENTS;
use crate::viewer::numbers::Numbered;

/// What an app wants to start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Start<'t> {
    /// The subscriber's id, as it is said.
    pub user: &'t str,
    /// The password.
    pub password: &'t str,
    /// What the number is one of.
    pub kind: Numbered,
    /// The number.
    pub number: u32,
    /// As what.
    pub form: Form,
}

impl std::fmt::Debug for Start<'_> {
    /// Without the password, which is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Start({:?} {} as {:?})", self.kind, self.number, self.form)
    }
}

/// As what it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A transport stream without an end.
    Stream,
    /// Playlists.
    Playlist,
    /// The file as it is.
    File,
}

/// Longest extension that a film is asked for with, in bytes. A longer one names nothing.
const EXTENSION_SIZE_MAX: usize = 8;

impl<'t> Start<'t> {
    /// Whether it is a channel.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.kind == Numbered::Channel
    }

    /// What a path starts, if it is one of these.
    #[must_use]
    pub fn of_path(path: &'t str) -> Option<Self> {
        let mut elements = path.strip_prefix('/')?.split('/');
        let first = elements.next()?;
        let kind = match first {
            "movie" => Numbered::Film,
            "series" => Numbered::Episode,
            _ => Numbered::Channel,
        };
        let user = match first {
            "live" | "movie" | "series" => elements.next()?,
            bare if FIRST_ELEMENTS.contains(&bare) || bare.ends_with(".php") => return None,
            bare => bare,
        };
        let (password, name, None) = (elements.next()?, elements.next()?, elements.next()) else {
            return None;
        };
        if user.is_empty() || password.is_empty() {
            return None;
        }
        let (number, extension) = match name.split_once('.') {
            Some((number, extension)) => (number, Some(extension)),
            None => (name, None),
        };
        let form = form(kind, extension)?;
        Some(Self { user, password, kind, number: self::number(number)?, form })
    }
}

fn form(kind: Numbered, extension: Option<&str>) -> Option<Form> {
    match (kind, extension) {
        (_, Some("m3u8")) => Some(Form::Playlist),
        (Numbered::Channel, None | Some("ts")) => Some(Form::Stream),
        (Numbered::Channel, Some(_)) => None,
        (_, None) => Some(Form::File),
        (_, Some(extension)) => {
            let is_one = !extension.is_empty()
                && extension.len() <= EXTENSION_SIZE_MAX
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_one.then_some(Form::File)
        }
    }
}

/// Digits alone: what else Rust takes for a number names nothing.
fn number(text: &str) -> Option<u32> {
    let is_one = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

/// Whether a path, as it was sent, may be such an address. It is asked of every request, and says
/// rather yes than no.
#[must_use]
pub fn may_be(path: &[u8]) -> bool {
    let is_one_of = |of: &[&[u8]]| of.iter().any(|first| path.starts_with(first));
    if is_one_of(&[b"/vod/", b"/tv/", b"/s/", b"/slate/"]) {
        return false;
    }
    if is_one_of(&[b"/live/", b"/movie/", b"/series/"]) {
        return true;
    }
    let mut elements = path.split(|byte| *byte == b'/').skip(3);
    let third = elements.next().and_then(|third| third.first());
    // An escape may be anything.
    third.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'%') || path.contains(&b'%')
}

/// Whether a path, as it was sent, holds something that lets its reader watch.
#[must_use]
pub fn holds_secret(path: &[u8]) -> bool {
    path.starts_with(b"/s/") || may_be(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(path: &str) -> String {
        match Start::of_path(path) {
            Some(Start { user, password, kind, number, form }) => {
                format!("{user} {password} {kind:?} {number} {form:?}")
            }
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn addresses_of_apps_are_told_from_the_rest() {
        for (path, expected) in [
            ("/live/anna/pw/12.ts", "anna pw Channel 12 Stream"),
            ("/live/anna/pw/12", "anna pw Channel 12 Stream"),
            ("/live/anna/pw/12.m3u8", "anna pw Channel 12 Playlist"),
            ("/anna/pw/12", "anna pw Channel 12 Stream"),
            ("/anna/pw/12.ts", "anna pw Channel 12 Stream"),
            ("/anna/pw/12.m3u8", "anna pw Channel 12 Playlist"),
            ("/movie/anna/pw/7.mp4", "anna pw Film 7 File"),
            ("/movie/anna/pw/7", "anna pw Film 7 File"),
            ("/movie/anna/pw/7.m3u8", "anna pw Film 7 Playlist"),
            ("/series/anna/p w+%/2147483647.mkv", "anna p w+% Episode 2147483647 File"),
            ("/live/live/pw/12", "live pw Channel 12 Stream"),
            ("/live/anna/pw/12.mp4", "nothing"),
            ("/live/anna/pw/news", "nothing"),
            ("/live/anna/pw/+12", "nothing"),
            ("/live/anna/pw/99999999999", "nothing"),
            ("/live/anna/pw/12/", "nothing"),
            ("/live/anna/pw", "nothing"),
            ("/live/anna/12", "nothing"),
            ("/live//pw/12", "nothing"),
            ("/movie/anna/pw/7.mp4.exe", "nothing"),
            ("/movie/anna/pw/7.", "nothing"),
            ("/anna/pw/12.mp4", "nothing"),
            ("/anna/pw/12/13", "nothing"),
            ("/portal/pw/12", "nothing"),
            ("/get.php/pw/12", "nothing"),
            ("/timeshift/anna/12", "nothing"),
            ("/tv/news/12.ts", "nothing"),
            ("/", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }

    #[test]
    fn no_password_is_shown_to_whoever_looks_for_mistakes() {
        let start = Start::of_path("/live/anna/SECRET/12").unwrap();
        assert_eq!(format!("{start:?}"), "Start(Channel 12 as Stream)");
    }

    #[test]
    fn what_holds_a_password_is_known_before_it_is_decoded() {
        for (path, expected) in [
            ("/live/anna/pw/12.ts", true),
            ("/anna/pw/12", true),
            ("/%6cive/anna/pw/12", true),
            ("/anna/pw/%312", true),
            ("/s/token/tv/news/1.m4s", true),
            ("/tv/news/12.ts", false),
            ("/vod/a/12.ts", false),
            ("/slate/limit.en/0.ts", false),
            ("/healthz", false),
            ("/get.php", false),
        ] {
            assert_eq!(holds_secret(path.as_bytes()), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_starts_something_may_be_one(
            first in "(live|movie|series|anna)", rest in "/[a-z%/.0-9]{0,20}",
        ) {
            let path = format!("/{first}{rest}");
            if let Some(start) = Start::of_path(&path) {
                prop_assert!(may_be(path.as_bytes()), "{path}");
                prop_assert!(!start.user.contains('/') && !start.password.contains('/'));
            }
        }
    }
}
