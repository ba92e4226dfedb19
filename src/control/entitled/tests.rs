//! Tests of what subscribers may have: changes of the registry in, rights out.

use serde_json::{Value, json};

use super::super::audit::Act;
use super::super::documents::{Checked, checked};
use super::super::registry::{Expected, Sqlite, Write};
use super::*;
use crate::viewer::rights::{Bar, From, Wanted};

const ANYBODY: From<'_> = From { peer: &|| None, agent: None };
const NOON: UnixTime = UnixTime(1_800_000_000);

struct Place {
    store: Sqlite,
    known: Known,
    _state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = Sqlite::open(state.path()).unwrap();
        Self { store, known: Known::default(), _state: state }
    }

    /// Writes as the API does; none = removed.
    fn write(&mut self, kind: Kind, id: &str, document: Option<Value>) {
        let checked = document.map(|document| checked(kind, document).unwrap());
        let (document, references) = checked
            .map(|Checked { document, references }| (document, references))
            .map_or((None, Vec::new()), |(document, references)| (Some(document), references));
        let (id, expected, number) = (id.to_owned(), Expected::Anything, None);
        let write = Write { kind, id, expected, document, number, references };
        self.store.commit(&Act::server(NOON), &[write]).unwrap();
    }

    /// What the subscriber of this number gets of channels, after all that was written.
    #[track_caller]
    fn check(&mut self, number: u32, channels: &[&str], expected: &[&str]) {
        self.known.follow(&self.store).unwrap();
        let number = NonZeroU32::new(number).unwrap();
        let verdict = |channel: &&&str| {
            let wanted = Wanted::Channel(channel);
            self.known.rights.verdict(number, wanted, &ANYBODY, NOON).is_ok()
        };
        let has: Vec<_> = channels.iter().filter(verdict).copied().collect();
        assert_eq!(has, expected);
        // Whoever reads all of it at once knows the same.
        let mut anew = Known::default();
        anew.follow(&self.store).unwrap();
        for channel in channels {
            let verdict = |known: &Known| {
                let wanted = Wanted::Channel(channel);
                known.rights.verdict(number, wanted, &ANYBODY, NOON)
            };
            assert_eq!(verdict(&anew), verdict(&self.known), "{channel}");
        }
    }
}

#[test]
fn what_is_no_business_of_shards_is_not_told_to_them() {
    let mut place = Place::new();
    assert_eq!(place.known.follow(&place.store), Ok(true), "what there is at first");
    let drama = json!({ "sorts": "film", "name": "Drama" });
    let episode = json!({ "series": "s", "season": 1, "episode": 1, "asset": "a" });
    for (kind, document, is_told) in [
        (Kind::Bouquet, json!({ "name": "B", "content": ["tv/news"] }), true),
        (Kind::Category, drama, false),
        (Kind::Channel, json!({ "window": "60s" }), false),
        (Kind::Asset, json!({ "name": "A" }), false),
        (Kind::Series, json!({ "name": "S" }), false),
        (Kind::Episode, episode, false),
        (Kind::Plan, json!({ "name": "P", "bouquets": ["s"] }), true),
        (Kind::Subscriber, json!({ "plan": "s" }), true),
    ] {
        place.write(kind, "s", Some(document));
        assert_eq!(place.known.follow(&place.store), Ok(is_told), "{kind:?}");
        assert_eq!(place.known.follow(&place.store), Ok(false), "{kind:?}");
    }
    place.write(Kind::Asset, "s", None);
    assert_eq!(place.known.follow(&place.store), Ok(false));
    place.write(Kind::Subscriber, "s", None);
    assert_eq!(place.known.follow(&place.store), Ok(true));
}

#[test]
fn a_subscriber_s_language_is_one_that_there_are_slates_in() {
    let mut place = Place::new();
    place.known.languages = ["en", "de"].map(str::to_owned).into();
    let expected = [("de-AT", Some(1)), ("EN", Some(0)), ("fr", None)];
    for (id, _) in expected {
        place.write(Kind::Subscriber, id, Some(json!({ "language": id })));
    }
    place.write(Kind::Subscriber, "nobody", Some(json!({})));
    place.known.follow(&place.store).unwrap();
    let language = |number| place.known.rights.language(NonZeroU32::new(number).unwrap());
    let found: Vec<_> = (1..=4).map(language).collect();
    assert_eq!(found, [Some(1), Some(0), None, None]);
    place.write(Kind::Subscriber, "fr", Some(json!({ "language": "de" })));
    place.known.follow(&place.store).unwrap();
    assert_eq!(place.known.rights.language(NonZeroU32::new(3).unwrap()), Some(1));
}

#[test]
fn the_terms_of_a_plan_are_told_and_nothing_is_as_much_as_there_is() {
    let mut place = Place::new();
    place.write(Kind::Bouquet, "b", Some(json!({ "name": "B", "content": ["tv/news"] })));
    place.write(Kind::Plan, "gold", Some(json!({ "name": "P" })));
    place.write(Kind::Subscriber, "anna", Some(json!({ "plan": "gold" })));
    for (more, bitrate_max_kbps, catch_up_days) in [
        (json!({}), u32::MAX, 0),
        (json!({ "bitrate_max_kbps": 3000, "catch_up_days": 7 }), 3000, 7),
    ] {
        let mut plan = json!({ "name": "P", "bouquets": ["b"] });
        plan.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        place.write(Kind::Plan, "gold", Some(plan));
        place.known.follow(&place.store).unwrap();
        let anna = NonZeroU32::new(1).unwrap();
        let wanted = Wanted::Channel("news");
        let held = place.known.rights.verdict(anna, wanted, &ANYBODY, NOON).unwrap();
        assert_eq!(held.terms, Terms { bitrate_max_kbps, catch_up_days });
    }
}

#[test]
fn where_and_with_what_a_subscriber_may_watch_is_told() {
    let mut place = Place::new();
    place.write(Kind::Bouquet, "b", Some(json!({ "name": "B", "content": ["tv/news"] })));
    place.write(Kind::Plan, "gold", Some(json!({ "name": "P", "bouquets": ["b"] })));
    let anna = json!({
        "plan": "gold", "networks": ["192.0.2.0/24", "2001:db8::1"],
        "agents_allowed": ["VLC", "Kodi"], "agents_denied": ["vlc/2"],
        "country": "NL",
    });
    place.write(Kind::Subscriber, "anna", Some(anna));
    place.known.follow(&place.store).unwrap();
    let rights = &place.known.rights;
    let anna = NonZeroU32::new(1).unwrap();
    assert_eq!(rights.country(anna).as_ref().map(Country::text), Some("NL"));
    let verdict = |address: &str, agent: Option<&str>| {
        let address = address.parse().ok();
        let (peer, agent) = (|| address, agent.map(str::as_bytes));
        let from = From { peer: &peer, agent };
        rights.verdict(anna, Wanted::Channel("news"), &from, NOON).err()
    };
    for (address, agent, expected) in [
        ("192.0.2.7", Some("VLC/3.0.20 LibVLC/3.0.20"), None),
        ("::ffff:192.0.2.7", Some("Mozilla/5.0 kodi/21"), None),
        ("2001:db8::1", Some("Kodi"), None),
        ("2001:db8::2", Some("Kodi"), Some(Bar::Elsewhere)),
        ("192.0.3.7", Some("Kodi"), Some(Bar::Elsewhere)),
        ("nowhere", Some("Kodi"), Some(Bar::Elsewhere)),
        ("192.0.2.7", Some("VLC/2.2"), Some(Bar::Agent)),
        ("192.0.2.7", Some("Lavf/60"), Some(Bar::Agent)),
        ("192.0.2.7", Some("VL"), Some(Bar::Agent)),
        ("192.0.2.7", None, Some(Bar::Agent)),
    ] {
        assert_eq!(verdict(address, agent), expected, "{address} {agent:?}");
    }
}

#[test]
fn rights_follow_every_change_of_subscriber_plan_and_bouquet() {
    const ALL: &[&str] = &["news", "sport"];
    let mut place = Place::new();
    let bouquet = |content: &[&str]| Some(json!({ "name": "B", "content": content }));
    let plan = |bouquets: &[&str]| Some(json!({ "name": "P", "bouquets": bouquets }));
    let anna = |plan: &str| Some(json!({ "plan": plan }));
    place.check(1, ALL, &[]);
    place.write(Kind::Bouquet, "basic", bouquet(&["tv/news"]));
    place.write(Kind::Bouquet, "extra", bouquet(&["tv/sport"]));
    place.write(Kind::Plan, "gold", plan(&["basic", "extra"]));
    place.write(Kind::Plan, "iron", plan(&["basic"]));
    place.write(Kind::Subscriber, "anna", anna("iron"));
    place.check(1, ALL, &["news"]);
    place.check(2, ALL, &[]);
    place.write(Kind::Subscriber, "anna", anna("gold"));
    place.check(1, ALL, &["news", "sport"]);
    place.write(Kind::Bouquet, "basic", bouquet(&["tv/music"]));
    place.check(1, ALL, &["sport"]);
    place.write(Kind::Plan, "gold", plan(&[]));
    place.check(1, ALL, &[]);
    place.write(Kind::Plan, "gold", plan(&["extra"]));
    place.write(Kind::Plan, "iron", None);
    place.check(1, ALL, &["sport"]);
    place.write(Kind::Subscriber, "anna", Some(json!({ "plan": "gold", "status": "blocked" })));
    place.check(1, ALL, &[]);
    place.write(Kind::Subscriber, "anna", anna("gold"));
    place.write(Kind::Subscriber, "anna", None);
    place.check(1, ALL, &[]);
    place.write(Kind::Subscriber, "anna", anna("gold"));
    place.check(1, ALL, &[]);
    place.check(2, ALL, &["sport"]);
}

#[test]
fn what_is_not_understood_is_nobodys_but_its_own_loss() {
    let mut place = Place::new();
    let bouquet = json!({ "name": "B", "content": ["tv/news"] });
    place.write(Kind::Bouquet, "basic", Some(bouquet));
    place.write(Kind::Plan, "gold", Some(json!({ "name": "P", "bouquets": ["basic"] })));
    for id in ["anna", "bert"] {
        place.write(Kind::Subscriber, id, Some(json!({ "plan": "gold" })));
    }
    let (kind, id, expected) = (Kind::Subscriber, "anna".to_owned(), Expected::Anything);
    let document = Some(json!({ "plan": 7 }));
    let (number, references) = (None, Vec::new());
    let write = Write { kind, id, expected, document, number, references };
    place.store.commit(&Act::server(NOON), &[write]).unwrap();
    place.check(1, &["news"], &[]);
    place.check(2, &["news"], &["news"]);
}

#[test]
fn what_is_revoked_follows_every_change_and_is_read_at_the_start() {
    let mut place = Place::new();
    let revoked = |known: &Known, session| known.rights.revoked().until(session);
    let follow = |place: &mut Place| {
        place.known.follow(&place.store).unwrap();
        let mut anew = Known::default();
        anew.follow(&place.store).unwrap();
        for session in [7, 8] {
            assert_eq!(revoked(&anew, session), revoked(&place.known, session));
        }
        [7, 8].map(|session| revoked(&place.known, session).map(|until| until.0))
    };
    assert_eq!(follow(&mut place), [None, None]);
    let (seven, eight) = (revocations::text(7), revocations::text(8));
    place.write(Kind::Revocation, &seven, Some(json!({ "until": 100 })));
    assert_eq!(follow(&mut place), [Some(100), None]);
    place.write(Kind::Revocation, &eight, Some(json!({ "until": 200 })));
    place.write(Kind::Revocation, &seven, None);
    assert_eq!(follow(&mut place), [None, Some(200)]);
    // Whoever was shut out is not let in by what is not understood.
    let (kind, id, expected) = (Kind::Revocation, seven, Expected::Anything);
    let document = Some(json!({ "until": "soon" }));
    let (number, references) = (None, Vec::new());
    let write = Write { kind, id, expected, document, number, references };
    place.store.commit(&Act::server(NOON), &[write]).unwrap();
    assert_eq!(follow(&mut place), [Some(u64::MAX), Some(200)]);
}

#[test]
fn what_shards_still_have_is_kept_for_them() {
    let post = Arc::new(Post::new(Vec::new()));
    let (_, limits) = tokio::sync::watch::channel(Arc::default());
    let hook = Arc::new(super::super::hook::Hook::new(None));
    let desk = Arc::new(Desk::new(Arc::clone(&post), limits, hook));
    let mut told = Told { all: Vec::new(), desk };
    told.tell(Some(Rights::default()), &post);
    let shard = Arc::clone(&told.all[0]);
    told.tell(Some(Rights::default()), &post);
    told.tell(None, &post);
    assert_eq!(told.all.len(), 2);
    drop(shard);
    told.tell(None, &post);
    assert_eq!(told.all.len(), 1);
}
