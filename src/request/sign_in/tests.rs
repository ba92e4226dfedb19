//! Who starts what by an app's address, from the head to the plan.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::catalog::{Capacity, Catalog};
use crate::config::TARGET_SIZE_MAX;
use crate::guard::{Bans, Networks};
use crate::messages::{GrowingId, Growth, SourceId, SourceKind};
use crate::request::plan::Content;
use crate::request::{Step, fixture, parse, steps};
use crate::units::{Class, Now, Ticks};
use crate::viewer::accounts::{Accounts, Entry, Tag};
use crate::viewer::leases::Asking;
use crate::viewer::rights::{Plan, PlanIndex, Standing};
use crate::viewer::{Apps, Numbers, Rights};

const NOON: u64 = 1_800_000_000;
const HOME: &str = "192.0.2.1";
const ANNA: NonZeroU32 = NonZeroU32::new(7).unwrap();

struct Server {
    catalog: Catalog,
    rights: Rights,
    apps: Apps,
    bans: Bans,
    known: Known,
    unix: u64,
}

/// Number 1 is the channel news, the film x.mp4, and an episode of a pack; number 2 the channel
/// sport, which Anna's plan does not hold, and that pack; number 3 what is nowhere.
fn server() -> Server {
    let hasher = Hasher::new(&[7; 32]);
    let entry = |user: &str, password: &str| {
        let login = Login { subscriber: ANNA, which: 0 };
        Entry::new(Credential::of(&hasher.hash(user, password)), login, Tag::of(1))
    };
    let entries = [entry("anna", "right"), entry("anna", "Straße 7")];
    let accounts = Accounts::new(hasher.clone()).with(&[], &entries);
    let channel = |id: &str| Some(Played::channel(id));
    let asset = |path: &str| Some(Played::asset(path));
    let numbers = Numbers::default().with(&[
        ((Numbered::Channel, 1), channel("news")),
        ((Numbered::Channel, 2), channel("sport")),
        ((Numbered::Channel, 3), channel("gone")),
        ((Numbered::Film, 1), asset("films/x.mp4")),
        ((Numbered::Film, 2), asset("films/p")),
        ((Numbered::Film, 3), asset("films/gone")),
        ((Numbered::Episode, 1), asset("films/p")),
    ]);
    let mut catalog = Catalog::new(Capacity { sources: 100, heap_bytes: 1 << 20 });
    let master = "/tv/news/master.m3u8";
    let pack = fixture::pack(SourceId(1), &[("master.m3u8", b"#EXTM3U\n", None)]);
    let listings = [
        fixture::present("films/p", SourceKind::Pack, &pack),
        fixture::present(
            "films/x.mp4",
            SourceKind::File,
            &fixture::file(SourceId(2), "x.mp4", &[7; 1000]),
        ),
        fixture::present(
            master,
            SourceKind::File,
            &fixture::file(SourceId(3), master, b"#EXTM3U\nv\n"),
        ),
    ];
    let mut effects = Vec::new();
    catalog.list(&listings, &mut effects);
    let (path, access) = ("/tv/news/stream.ts".into(), crate::config::Access::Token);
    let begun = Growth::Begun { path, media_type: "video/mp2t", class: Class::Segment, access };
    catalog.grow(GrowingId(1), &begun, &mut effects);
    let plan = Plan::of(["tv/news", "tv/gone", "vod/films"]);
    let rights = Rights::default().with_plans(vec![plan]);
    let apps = Apps { accounts, numbers };
    let (bans, known) = (Bans::default(), Known::default());
    let server = Server { catalog, rights, apps, bans, known, unix: NOON };
    server.standing(|_| ())
}

impl Server {
    fn standing(mut self, change: impl FnOnce(&mut Standing)) -> Self {
        let mut standing = Standing {
            plan: Some(PlanIndex(0)),
            expires: None,
            is_blocked: false,
            limits: None,
            sessions_max: None,
            country: None,
            language: None,
        };
        change(&mut standing);
        self.rights = self.rights.with(&[(ANNA, Some(standing))]);
        self
    }

    fn step(&mut self, head: &str, from: &str) -> Result<Step, Refusal> {
        let request = parse::request(head.as_bytes()).unwrap().unwrap();
        let from: Option<IpAddr> = from.parse().ok();
        let now = Now { unix: UnixTime(self.unix), ticks: Ticks(5), ..Now::default() };
        let (rights, apps, bans) = (&self.rights, &self.apps, &self.bans);
        let view = fixture::view(&self.catalog);
        let view = View { rights, apps, bans, peer: &|| from, now, ..view };
        steps(&request, &view, &mut self.known, &mut [0; TARGET_SIZE_MAX])
    }

    fn starts(&mut self, path: &str, agent: &str, from: &str) -> Result<Step, Refusal> {
        self.step(&format!("GET {path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n\r\n"), from)
    }

    fn begun(&mut self, agent: &str, from: &str) -> Begun {
        match self.starts("/live/anna/right/1.m3u8", agent, from) {
            Ok(Step::Respond(plan)) => match plan.content {
                Content::Start { begun, text: Some(_) } => begun,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[expect(clippy::large_types_passed_by_value, reason = "a step, as it is given")]
fn shown(step: Result<Step, Refusal>) -> String {
    match step {
        Ok(Step::Respond(plan)) => {
            assert!(plan.is_private, "its address is a key");
            let what = match plan.content {
                Content::Start { text: Some(_), .. } => "playlist",
                Content::Start { text: None, .. } => "elsewhere",
                Content::Growing(_) => "stream",
                Content::Object { .. } => "file",
                other => panic!("{other:?}"),
            };
            format!("{} {what}", plan.status)
        }
        Ok(Step::SignIn { .. }) => "control".to_owned(),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => format!("{} {}", refusal.status(), refusal.reason()),
    }
}

#[test]
fn an_address_leads_to_what_its_number_stands_for() {
    for (path, expected) in [
        ("/live/anna/right/1.m3u8", "200 playlist"),
        ("/live/anna/right/1.ts", "200 stream"),
        ("/live/anna/right/1", "200 stream"),
        ("/anna/right/1.m3u8", "200 playlist"),
        ("/anna/right/1", "200 stream"),
        ("/anna/Stra%C3%9Fe%207/1", "200 stream"),
        ("/movie/anna/right/1.mp4", "200 file"),
        ("/movie/anna/right/1.m3u8", "200 file"),
        ("/movie/anna/right/2.mp4", "302 elsewhere"),
        ("/movie/anna/right/2.m3u8", "302 elsewhere"),
        ("/series/anna/right/1.mkv", "302 elsewhere"),
        ("/movie/anna/right/3.mp4", "404 not-found"),
        ("/live/anna/right/3.ts", "404 not-found"),
        ("/live/anna/right/99.ts", "404 not-found"),
        ("/live/anna/right/2.ts", "403 not-entitled"),
        ("/live/anna/wrong/1.ts", "control"),
        ("/live/nobody/right/1.ts", "control"),
        ("/live/anna/wrong/99.ts", "control"),
    ] {
        assert_eq!(shown(server().starts(path, "VLC", HOME)), expected, "{path}");
    }
    let head = "HEAD /movie/anna/right/1.mp4 HTTP/1.1\r\nHost: tv\r\n\r\n";
    let Ok(Step::Respond(plan)) = server().step(head, HOME) else { panic!("{head}") };
    assert!(!plan.with_body);
    let head = "GET /movie/anna/right/1.mp4 HTTP/1.1\r\nHost: tv\r\nRange: bytes=10-19\r\n\r\n";
    assert_eq!(shown(server().step(head, HOME)), "206 file");
    let head = "POST /live/anna/right/1.ts HTTP/1.1\r\nHost: tv\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(shown(server().step(head, HOME)), "405 method-not-allowed");
}

#[test]
fn whoever_may_not_watch_is_told_why_and_has_guessed_nothing() {
    for (change, expected) in [
        ((|of| of.expires = Some(UnixTime(NOON))) as fn(&mut Standing), "403 subscriber-expired"),
        (|of| of.is_blocked = true, "403 subscriber-blocked"),
        (|of| of.plan = None, "403 not-entitled"),
    ] {
        let mut server = server().standing(change);
        for _ in 0..3 {
            assert_eq!(shown(server.starts("/live/anna/right/1.ts", "VLC", HOME)), expected);
            assert_eq!(server.known.recent.take_refused(), Some(ANNA));
        }
    }
}

#[test]
fn a_device_has_the_same_token_for_hours_and_another_one_has_another() {
    let mut server = server();
    let first = server.begun("VLC", HOME);
    let ahead = u64::from(first.expires) - NOON;
    assert!((43_200..=86_400).contains(&ahead), "{ahead}");
    server.unix = NOON + ahead - 43_201;
    assert_eq!(server.begun("VLC", HOME), first);
    server.unix = NOON + ahead;
    let later = server.begun("VLC", HOME);
    assert_eq!(later.session, first.session, "it is the same device");
    assert!(later.expires > first.expires);
    assert_ne!(server.begun("Kodi", HOME).session, first.session);
    assert_ne!(server.begun("VLC", "192.0.2.2").session, first.session);
    let mut ends = server.standing(|of| of.expires = Some(UnixTime(NOON + 100)));
    ends.unix = NOON;
    assert_eq!(u64::from(ends.begun("VLC", HOME).expires), NOON + 100);
}

#[test]
fn when_tokens_expire_is_spread_and_half_a_day_to_a_day_ahead() {
    let at =
        |subscriber: u32, now: u64| expires(NonZeroU32::new(subscriber).unwrap(), UnixTime(now));
    let all: std::collections::BTreeSet<_> = (1..1000).map(|of| at(of, NOON)).collect();
    assert!(all.len() > 900, "{}", all.len());
    for now in (NOON..NOON + 200_000).step_by(977) {
        let ahead = at(7, now).0 - now;
        assert!((43_200..=86_400).contains(&ahead), "{ahead}");
    }
    let _ = at(7, u64::MAX);
}

#[test]
fn a_session_that_was_revoked_gives_way_to_the_next_one() {
    let mut server = server();
    let mut seen = vec![server.begun("VLC", HOME).session];
    for _ in 1..APP_SESSIONS_REVOKED_MAX {
        let last = *seen.last().unwrap();
        server.rights = server.rights.with_revoked(&[(last, Some(UnixTime(u64::MAX)))]);
        let next = server.begun("VLC", HOME).session;
        assert!(!seen.contains(&next));
        seen.push(next);
    }
    let last = *seen.last().unwrap();
    server.rights = server.rights.with_revoked(&[(last, Some(UnixTime(u64::MAX)))]);
    let found = shown(server.starts("/live/anna/right/1.ts", "VLC", HOME));
    assert_eq!(found, "403 token-revoked");
    assert_ne!(server.begun("Kodi", HOME).session, last, "other devices go on");
}

#[test]
fn where_logins_are_asked_about_it_is_once_and_never_of_what_runs() {
    let mut server = server();
    let path = "/live/anna/right/1.ts";
    assert_eq!(shown(server.starts(path, "VLC", HOME)), "200 stream");
    server.known.leases.ask_as(Asking { of_logins: true, ..Asking::default() });
    assert_eq!(shown(server.starts(path, "VLC", HOME)), "200 stream", "it runs");
    let Ok(Step::SignIn { said, .. }) = server.starts(path, "Kodi", HOME) else { panic!() };
    server.known.sign_ins.let_in(&said, Ticks(5));
    assert_eq!(shown(server.starts(path, "Kodi", HOME)), "200 stream");
    assert_eq!(shown(server.starts("/live/anna/right/1.m3u8", "Kodi", HOME)), "200 playlist");
    assert_eq!(shown(server.starts(path, "Kodi", "192.0.2.2")), "control");
}

#[test]
fn strangers_of_a_suspected_address_are_not_looked_at_and_good_viewers_are() {
    let suspected = Networks::of(["192.0.2.0/24".parse().unwrap()]);
    let mut server = server();
    server.bans = Bans::new(Arc::default(), Networks::default(), suspected);
    let mut starts = |path| shown(server.starts(path, "VLC", HOME));
    assert_eq!(starts("/live/anna/right/1.ts"), "200 stream");
    assert_eq!(starts("/live/anna/wrong/1.ts"), "403 banned");
    assert_eq!(starts("/live/anna/right/1.ts"), "200 stream", "it was right before");
}
