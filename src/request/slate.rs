//! Slates: which one a refused request gets, and what is asked for below `/slate/`.
//!
//! Only what a player opens, or asks for again and again, is answered with one: playlists and the
//! transport stream. Segments are refused as ever. Nothing is looked at of who is let in but
//! whether a channel that is opened is on air.

use std::num::NonZeroU32;

use super::View;
use super::authorise::Grant;
use super::parse::{Method, Request};
use super::plan::{self, Instead, Plan};
use super::refusal::Refusal;
use super::route::Target;
use super::start::{Form, Start};
use crate::catalog::Found;
use crate::config::slates::SlateReason;
use crate::live::reload::Directives;
use crate::live::slate::text::Reader;
use crate::live::slate::{SlateIndex, language};
use crate::viewer::Recent;

/// What is asked for, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The playlist by which a channel is opened.
    Channel,
    /// A playlist of a channel that a player has begun to watch.
    Rendition,
    /// A playlist of what ends: of a film, or of what is past of a channel.
    Film,
    /// A channel's transport stream.
    Stream,
}

/// The playlist of a slate that is asked for and goes on, if one is.
#[must_use]
pub fn that_goes_on(target: &Target<'_>, view: &View<'_>) -> Option<SlateIndex> {
    let Target::Slate { path } = *target else { return None };
    let (folder, name) = path.strip_prefix("/slate/")?.split_once('/')?;
    (name == "live.m3u8").then(|| view.slates.slates.in_folder(folder))?
}

/// Whether the channel that is opened is on air, as far as this viewer may know.
///
/// # Errors
///
/// `OffAir`.
pub fn on_air(
    target: &Target<'_>,
    grant: &Grant,
    view: &View<'_>,
    recent: &mut Recent,
) -> Result<(), Refusal> {
    let Target::Live { path, .. } = *target else { return Ok(()) };
    match view.slates.on_air.off_air(path, view.now.ticks) {
        Some(access) if grant.allows(access) => {
            recent.refuse(grant.viewer().and_then(|viewer| viewer.subscriber));
            Err(Refusal::OffAir)
        }
        _ => Ok(()),
    }
}

/// What a refused request is answered with, if there is a slate that says why; `subscriber` is
/// whoever was refused, if that is known.
#[must_use]
pub fn instead(
    request: &Request<'_>,
    refusal: Refusal,
    subscriber: Option<NonZeroU32>,
    view: &View<'_>,
) -> Option<Plan> {
    let slates = &view.slates.slates;
    if slates.is_empty() || !matches!(request.method, Method::Get | Method::Head) {
        return None;
    }
    let reason = reason(refusal)?;
    let (asked, path) = asked(request.path)?;
    let known = subscriber.and_then(|subscriber| view.rights.language(subscriber));
    let accepted = || language::accepted(request.languages?, &slates.languages);
    let language = known.or_else(accepted).unwrap_or(0);
    let (index, slate) = slates.find(reason, language)?;
    let mut instead = Instead { instead_of: refusal, kbps: None };
    let found = match asked {
        Asked::Channel => &slate.master,
        Asked::Film => &slate.film,
        Asked::Stream => {
            instead.kbps = NonZeroU32::new(slate.kbps);
            &slate.stream
        }
        Asked::Rendition => {
            let last = view.catalog.last_whole(path)?;
            let plan = plan::slate(request, index, Reader::Joins(last));
            return Some(Plan { slate: Some(instead), ..plan });
        }
    };
    match view.catalog.live(found, &Directives::default(), &Grant::OPEN) {
        Found::Object(object) => Some(plan::shown_instead(request, &object, instead)),
        _ => None,
    }
}

/// What a slate says of it. These are all: what else somebody is refused for, slates say nothing
/// of.
fn reason(refusal: Refusal) -> Option<SlateReason> {
    match refusal {
        Refusal::SessionLimit => Some(SlateReason::Limit),
        Refusal::SubscriberExpired | Refusal::TokenExpired => Some(SlateReason::Expired),
        Refusal::SubscriberBlocked => Some(SlateReason::Blocked),
        Refusal::OffAir => Some(SlateReason::OffAir),
        _ => None,
    }
}

/// By the path as it was sent, and that path without its token. No playlist of ours has a name
/// that takes escapes but those of assets, whose last letters are what matters.
fn asked(path: &[u8]) -> Option<(Asked, &str)> {
    let path = str::from_utf8(path).ok()?;
    let path = match path.strip_prefix("/s/") {
        Some(token) => &token[token.find('/')?..],
        None => path,
    };
    if let Some(start) = Start::of_path(path) {
        let asked = match start.form {
            Form::Stream => Asked::Stream,
            Form::Playlist if start.is_live() => Asked::Channel,
            Form::Playlist => Asked::Film,
            Form::File => return None,
        };
        return Some((asked, path));
    }
    if path.starts_with("/vod/") {
        return path.ends_with(".m3u8").then_some((Asked::Film, path));
    }
    let (_, name) = path.strip_prefix("/tv/")?.split_once('/')?;
    let asked = match name {
        "stream.ts" => Asked::Stream,
        name if !name.ends_with(".m3u8") => return None,
        name if name.starts_with("archive/") => Asked::Film,
        name if name.contains('/') => Asked::Rendition,
        _ => Asked::Channel,
    };
    Some((asked, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_players_open_and_ask_for_again_is_told_from_the_rest() {
        for (path, expected) in [
            ("/tv/news/master.m3u8", Some(Asked::Channel)),
            ("/tv/news/ll.m3u8", Some(Asked::Channel)),
            ("/tv/news/v/index.m3u8", Some(Asked::Rendition)),
            ("/tv/news/v/ll.m3u8", Some(Asked::Rendition)),
            ("/tv/news/archive/1800000000-60/master.m3u8", Some(Asked::Film)),
            ("/tv/news/archive/1800000000-now/v.m3u8", Some(Asked::Film)),
            ("/tv/news/stream.ts", Some(Asked::Stream)),
            ("/tv/news/v/stream.ts", None),
            ("/tv/news/manifest.mpd", None),
            ("/tv/news/v/1.m4s", None),
            ("/tv/news/v/init.mp4", None),
            ("/tv/news", None),
            ("/vod/films/a/master.m3u8", Some(Asked::Film)),
            ("/vod/a%20b.m3u8", Some(Asked::Film)),
            ("/vod/films/a/1.ts", None),
            ("/live/anna/pw/1.m3u8", Some(Asked::Channel)),
            ("/anna/pw/1", Some(Asked::Stream)),
            ("/movie/anna/pw/1.m3u8", Some(Asked::Film)),
            ("/movie/anna/pw/1.mp4", None),
            ("/slate/limit.en/live.m3u8", None),
            ("", None),
        ] {
            let expected = expected.map(|expected| (expected, path));
            assert_eq!(asked(path.as_bytes()), expected, "{path}");
            let with_token = format!("/s/abc{path}");
            assert_eq!(asked(with_token.as_bytes()), expected, "{with_token}");
        }
        assert_eq!(asked(b"/s/abc"), None);
    }

    #[test]
    fn few_refusals_have_slates() {
        let with: Vec<_> = Refusal::ALL.into_iter().filter(|one| reason(*one).is_some()).collect();
        let expected = [
            Refusal::TokenExpired,
            Refusal::SubscriberBlocked,
            Refusal::SubscriberExpired,
            Refusal::SessionLimit,
            Refusal::OffAir,
        ];
        assert_eq!(with, expected);
    }
}
