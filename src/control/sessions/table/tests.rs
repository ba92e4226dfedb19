//! What becomes of devices that come, zap, move and race, by a clock that the test sets.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::config::{
    LEASES_TOLD_MS, LOOKALIKES_REFUSED_MS, NETWORKS_OVERLAP_MS, SESSIONS_OF_ONE_MAX,
};
use crate::viewer::Viewing;
use crate::viewer::fetched::{Fetched, Segment};
use crate::viewer::session::Content;

const ANNA: NonZeroU32 = NonZeroU32::new(7).unwrap();

/// A subscriber's sessions, as shards tell of them, by a clock that the test sets.
struct Place {
    table: Table,
    places: Option<Places>,
    now_ms: u64,
}

/// Who fetches what: the session of the token, the address, the player, the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who<'w>(u64, &'w str, &'w str, &'w str);

/// How long a lease is less what control grants, so that it is over after 15 s.
const LENGTH_MS: u32 = 15_000 - LEASES_TOLD_MS as u32;

const HOME: &str = "192.0.2.1";
const MOBILE: &str = "198.51.100.9";

impl Place {
    fn new(max: u32) -> Self {
        let places = NonZeroU32::new(max).map(|max| Places { max, ends_oldest: false });
        Self { table: Table::default(), places, now_ms: 1_000_000 }
    }

    fn ending_the_oldest(max: u32) -> Self {
        let mut place = Self::new(max);
        place.places = place.places.map(|places| Places { ends_oldest: true, ..places });
        place
    }

    fn moment(&self) -> Moment {
        Moment { ticks: Ticks(self.now_ms), unix: UnixTime(1_800_000_000 + self.now_ms / 1000) }
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        let now = self.moment();
        self.table.tick(now);
        self
    }

    /// Somebody fetches something: what a shard that knows nothing is told.
    fn fetch(&mut self, who: Who<'_>) -> &'static str {
        let start = start(who);
        let said = self.table.start(&start, self.places, self.moment());
        let answer = said.answer.expect("whoever asks is answered");
        assert_eq!(answer.0, start.id);
        match answer.1 {
            Verdict::Held => "held",
            Verdict::Refused { over: Over::Limit, .. } => "limit",
            Verdict::Refused { over: Over::Kicked, .. } => "kicked",
            Verdict::Refused { over: Over::Full, .. } => "full",
            Verdict::Refused { .. } => "something that is decided elsewhere",
            Verdict::Unknown | Verdict::Roomy | Verdict::Crowded => unreachable!("no answer"),
        }
    }

    /// It goes on at a shard that knows it; gives who lost their session by that.
    fn go_on(&mut self, who: Who<'_>) -> Vec<SessionId> {
        let (now, places) = (self.moment(), self.places);
        let seen = Seen { id: start(who).id, length_ms: LENGTH_MS, at: now.ticks };
        let said = self.table.see(seen, |_| places, now);
        let is_over = |verdict| matches!(verdict, Verdict::Refused { .. });
        said.into_iter().filter(|(_, verdict)| is_over(*verdict)).map(|(id, _)| id).collect()
    }

    fn count(&self) -> usize {
        self.table.count(self.moment())
    }

    fn counted(&self) -> usize {
        count::counted(self.table.of(Owner::Subscriber(ANNA))).len()
    }
}

fn start(Who(token, peer, agent, content): Who<'_>) -> Start {
    let content = match content.strip_prefix("tv/") {
        Some(channel) => Content::Channel(channel),
        None => Content::Film(content),
    };
    let (subscriber, peer) = (Some(ANNA), Some(peer.parse().unwrap()));
    let viewing = Viewing { subscriber, token, peer, agent: agent.as_bytes(), content };
    Start {
        id: viewing.id(),
        subscriber,
        token,
        peer,
        agent: agent.as_bytes().into(),
        content: content.into(),
        length_ms: LENGTH_MS,
    }
}

#[test]
fn one_place_is_one_device_until_it_has_been_silent() {
    let (tv, phone) = (Who(1, HOME, "TV", "tv/news"), Who(2, HOME, "VLC", "tv/news"));
    let mut place = Place::new(1);
    assert_eq!(place.fetch(tv), "held");
    assert_eq!(place.fetch(phone), "limit");
    assert_eq!(place.after(14_999).fetch(phone), "limit");
    assert_eq!(place.fetch(tv), "held", "at another shard");
    assert_eq!(place.after(14_999).fetch(phone), "limit");
    assert_eq!(place.after(1).fetch(phone), "held");
    assert_eq!(place.fetch(tv), "limit");
    assert_eq!(place.count(), 1);
    let ends: Vec<_> = place.table.past().map(|past| past.end).collect();
    assert_eq!(ends, [End::Left]);
}

#[test]
fn shards_tell_seldom_of_those_beside_whom_there_is_room() {
    let (tv, phone) = (Who(1, HOME, "TV", "tv/news"), Who(2, HOME, "VLC", "tv/news"));
    let (tv_id, phone_id) = (start(tv).id, start(phone).id);
    let mut place = Place::new(2);
    let mut begin = |who, places| {
        let start = start(who);
        place.table.start(&start, places, place.moment()).all
    };
    let two = NonZeroU32::new(2).map(|max| Places { max, ends_oldest: false });
    assert_eq!(begin(tv, two), [(tv_id, Verdict::Roomy)]);
    assert_eq!(begin(tv, two), [(tv_id, Verdict::Roomy)], "another shard does not know it yet");
    assert_eq!(begin(phone, two), [(tv_id, Verdict::Crowded)], "the new one is told of often");
    let mut see = |who, places| {
        let seen = Seen { id: start(who).id, length_ms: LENGTH_MS, at: place.moment().ticks };
        place.table.see(seen, |_| places, place.moment())
    };
    assert_eq!(see(tv, two), []);
    // More was paid for; then less.
    assert_eq!(see(tv, None), [(tv_id, Verdict::Roomy), (phone_id, Verdict::Roomy)]);
    assert_eq!(see(phone, two), [(tv_id, Verdict::Crowded), (phone_id, Verdict::Crowded)]);
    let seldom = u64::from(LEASES_TOLD_SELDOM) * LEASES_TOLD_MS;
    let mut place = Place::new(2);
    place.fetch(tv);
    place.after(u64::from(LENGTH_MS) + seldom - 1);
    assert_eq!(place.count(), 1, "it may have been used since that was told");
    assert_eq!(place.after(1).count(), 0);
}

#[test]
fn who_zaps_and_comes_back_is_at_one_place() {
    let mut place = Place::new(1);
    for channel in 0..20 {
        let content = format!("tv/{channel}");
        assert_eq!(place.after(500).fetch(Who(1, HOME, "TV", &content)), "held", "{channel}");
    }
    let mut place = Place::new(1);
    for _ in 0..6 {
        assert_eq!(place.after(2_000).fetch(Who(1, HOME, "TV", "films/a")), "held");
        assert_eq!(place.counted(), 1);
    }
    let (news, sport) = (Who(1, HOME, "TV", "tv/news"), Who(1, HOME, "TV", "tv/sport"));
    for _ in 0..5 {
        assert_eq!(place.after(15_000).fetch(news), "held");
        assert_eq!(place.after(4_000).fetch(sport), "held");
        assert_eq!(place.after(4_000).fetch(news), "held");
    }
}

#[test]
fn a_second_content_that_goes_on_is_a_second_place() {
    let (news, sport) = (Who(1, HOME, "TV", "tv/news"), Who(1, HOME, "TV", "tv/sport"));
    let mut place = Place::new(1);
    assert_eq!(place.fetch(news), "held");
    assert_eq!(place.after(5_000).fetch(sport), "held");
    for _ in 0..4 {
        place.after(2_000);
        assert!(place.go_on(news).is_empty() && place.go_on(sport).is_empty());
        assert_eq!(place.counted(), 1);
    }
    place.after(2_000);
    assert!(place.go_on(sport).is_empty());
    assert_eq!(place.go_on(news), [start(sport).id], "the newest ends");
    // To ask again does not make it a new one.
    for _ in 0..5 {
        assert_eq!(place.after(2_000).fetch(sport), "limit");
        assert!(place.go_on(news).is_empty());
    }
    let silent_ms = u64::from(LENGTH_MS) * 2 / 5;
    assert_eq!(place.after(silent_ms - 1).fetch(sport), "limit");
    assert_eq!(place.after(1).fetch(sport), "held", "the first seems to have been left");
}

#[test]
fn all_of_a_film_is_one_content() {
    let mut place = Place::new(1);
    for part in ["films/a", "films/a/720p", "films/a/sound", "films/a/720p", "films/a"] {
        for _ in 0..5 {
            assert_eq!(place.after(3_000).fetch(Who(1, HOME, "TV", part)), "held", "{part}");
        }
    }
    assert_eq!(place.count(), 1);
    let all = place.table.of(Owner::Subscriber(ANNA));
    assert_eq!(all[0].names.len(), 3);
}

#[test]
fn from_the_wifi_to_the_street_is_one_place() {
    let (home, street) = (Who(1, HOME, "VLC", "tv/news"), Who(1, MOBILE, "VLC", "tv/news"));
    let mut place = Place::new(1);
    assert_eq!(place.fetch(home), "held");
    assert_eq!(place.after(1_000).fetch(street), "held");
    // What was under way at home came to its end.
    assert!(place.after(NETWORKS_OVERLAP_MS - 1).go_on(home).is_empty());
    for _ in 0..20 {
        assert!(place.after(2_000).go_on(street).is_empty());
    }
    assert_eq!(place.fetch(home), "held", "and back");
}

#[test]
fn one_token_at_several_addresses_is_several_places() {
    let at = |last: usize| format!("203.0.113.{last}");
    let mut place = Place::new(1);
    let addresses: Vec<_> = (1..=20).map(at).collect();
    let mut held = Vec::new();
    for address in &addresses {
        if place.fetch(Who(1, address, "VLC", "tv/news")) == "held" {
            held.push(address.as_str());
        }
    }
    assert_eq!(held.len(), 2, "one more than one, who may be the same that has moved");
    let mut ended = Vec::new();
    while ended.is_empty() {
        place.after(500);
        for address in &held {
            ended.extend(place.go_on(Who(1, address, "VLC", "tv/news")));
        }
    }
    assert!(place.now_ms <= 1_000_000 + NETWORKS_OVERLAP_MS, "{}", place.now_ms);
    assert_eq!(ended, [start(Who(1, held[1], "VLC", "tv/news")).id]);
    // Nobody else gets in as long as the first goes on, whatever they wish to see.
    for round in 0..30 {
        place.after(1_000);
        assert!(place.go_on(Who(1, held[0], "VLC", "tv/news")).is_empty());
        let content = format!("tv/{round}");
        assert_eq!(place.fetch(Who(1, held[1], "VLC", &content)), "limit", "{round}");
    }
}

#[test]
fn the_oldest_can_be_what_ends() {
    let (tv, phone) = (Who(1, HOME, "TV", "tv/news"), Who(2, HOME, "VLC", "tv/news"));
    let mut place = Place::ending_the_oldest(1);
    assert_eq!(place.fetch(tv), "held");
    place.after(1_000);
    let said = place.table.start(&start(phone), place.places, place.moment());
    assert_eq!(said.answer, Some((start(phone).id, Verdict::Held)));
    assert_eq!(said.all, [(start(tv).id, REFUSED)]);
    assert_eq!(place.table.past().map(|past| past.end).collect::<Vec<_>>(), [End::Limit]);
    // What was told of the television before it heard of that ends nobody, and neither does a
    // player that tries again.
    assert!(place.after(500).go_on(tv).is_empty());
    for _ in 0..5 {
        assert_eq!(place.after(2_000).fetch(tv), "limit");
        assert!(place.go_on(phone).is_empty());
    }
    assert_eq!(place.count(), 1);
    place.after(15_000);
    assert_eq!(place.fetch(tv), "held", "the telephone has left");
}

#[test]
fn who_flips_between_two_channels_is_soon_let_in_again() {
    let (news, sport) = (Who(1, HOME, "TV", "tv/news"), Who(1, HOME, "TV", "tv/sport"));
    let mut place = Place::new(1);
    for _ in 0..5 {
        place.after(4_000).fetch(news);
        place.after(4_000).fetch(sport);
    }
    // Whatever was made of that: who stays with one of them for some seconds has it.
    place.after(4_000).fetch(news);
    place.after(6_000);
    assert_eq!(place.fetch(news), "held");
    place.after(6_000);
    assert_eq!(place.fetch(sport), "held");
}

#[test]
fn a_kick_holds_whatever_was_contested_before() {
    let (news, sport) = (Who(1, HOME, "TV", "tv/news"), Who(1, HOME, "TV", "tv/sport"));
    let mut place = Place::new(1);
    place.fetch(news);
    place.fetch(sport);
    for _ in 0..6 {
        place.after(2_000);
        place.go_on(news);
        place.go_on(sport);
    }
    assert_eq!(place.count(), 1);
    place.after(15_000);
    let one = if place.fetch(sport) == "held" { sport } else { news };
    place.table.kick(start(one).id, place.moment()).unwrap();
    assert_eq!(place.fetch(one), "kicked");
}

#[test]
fn long_segments_are_fetched_seldom_and_counted_all_the_same() {
    let who = |channel| Who(1, HOME, "TV", channel);
    let long = |place: &mut Place, channel| {
        let begun = Start { length_ms: 36_000, ..start(who(channel)) };
        let said = place.table.start(&begun, place.places, place.moment());
        said.answer.map(|(_, verdict)| verdict)
    };
    let mut place = Place::new(1);
    let mut refused = 0;
    for _ in 0..6 {
        place.after(6_000);
        refused += usize::from(long(&mut place, "tv/news") != Some(Verdict::Held));
        place.after(6_000);
        refused += usize::from(long(&mut place, "tv/sport") != Some(Verdict::Held));
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn what_is_kicked_is_refused_for_a_minute_and_nothing_else_is() {
    let (news, sport) = (Who(1, HOME, "TV", "tv/news"), Who(1, HOME, "TV", "tv/sport"));
    let mut place = Place::new(1);
    assert_eq!(place.fetch(news), "held");
    let now = place.moment();
    let said = place.table.kick(start(news).id, now).unwrap();
    let kicked = Verdict::Refused { over: Over::Kicked, for_ms: KICKED_MS };
    assert_eq!(said, [(start(news).id, kicked)]);
    assert_eq!(place.table.kick(start(news).id, now), None);
    assert_eq!((place.fetch(news), place.fetch(sport)), ("kicked", "held"));
    assert_eq!(place.after(59_999).fetch(news), "kicked");
    assert_eq!(place.after(1).fetch(news), "held");
}

#[test]
fn who_is_not_limited_watches_everywhere_and_is_listed() {
    let mut place = Place::new(0);
    for token in 0..50 {
        assert_eq!(place.fetch(Who(token, HOME, "VLC", "tv/news")), "held");
    }
    assert_eq!((place.counted(), place.count()), (50, 50));
    place.after(15_000).after(15_000);
    assert_eq!(place.count(), 0);
    assert!(place.table.owners.is_empty() && place.table.names.is_empty());
}

#[test]
fn whoever_floods_is_bounded() {
    let mut place = Place::new(1);
    for content in 0..2 * SESSIONS_COUNTED_MAX {
        let content = format!("tv/{content}");
        let expected = content[3..].parse::<usize>().unwrap() < SESSIONS_COUNTED_MAX;
        assert_eq!(place.fetch(Who(1, HOME, "TV", &content)) == "held", expected, "{content}");
    }
    assert_eq!(place.count(), SESSIONS_COUNTED_MAX);
    let mut place = Place::new(0);
    for token in 0..SESSIONS_OF_ONE_MAX as u64 + 10 {
        assert_eq!(place.fetch(Who(token, HOME, "TV", "tv/news")), "held");
    }
    assert_eq!(place.count(), SESSIONS_OF_ONE_MAX);
    let beyond = Who(SESSIONS_OF_ONE_MAX as u64, HOME, "TV", "tv/news");
    let now = place.moment();
    let seen = Seen { id: start(beyond).id, length_ms: LENGTH_MS, at: now.ticks };
    let said = place.table.see(seen, |_| None, now);
    assert_eq!(said, [], "shards are known to tell of some that are not listed");
    place.after(CONTESTED_MS);
    let now = place.moment();
    let said = place.table.see(Seen { at: now.ticks, ..seen }, |_| None, now);
    assert_eq!(said, [(start(beyond).id, Verdict::Unknown)], "it may ask again");
}

#[test]
fn an_answer_that_was_held_up_begins_again_and_is_counted() {
    let (tv, phone) = (Who(1, HOME, "TV", "tv/news"), Who(2, HOME, "VLC", "tv/news"));
    let mut place = Place::new(1);
    assert_eq!(place.fetch(tv), "held");
    place.after(20_000);
    assert!(place.go_on(tv).is_empty());
    assert_eq!(place.count(), 1, "it goes on");
    place.after(20_000);
    assert_eq!(place.fetch(phone), "held");
    assert_eq!(place.go_on(tv), [start(tv).id], "meanwhile somebody else came");
}

impl Place {
    /// Devices of one session fetch the same segments, in turns; gives who lost their session.
    fn watch(&mut self, who: Who<'_>, numbers: std::ops::Range<u64>, devices: usize) -> usize {
        let id = start(who).id;
        let mut refused = 0;
        for number in numbers {
            for _ in 0..devices {
                let segment = Segment::at(&format!("/{}/v/{number}.m4s", who.3));
                let (now, places) = (self.moment(), self.places);
                let said = self.table.fetch(Fetched { id, segment }, |_| places, now);
                let verdict = Verdict::Refused { over: Over::Limit, for_ms: LOOKALIKES_REFUSED_MS };
                refused += said.iter().filter(|said| **said == (id, verdict)).count();
            }
            refused += self.after(2_000).go_on(who).len();
        }
        refused
    }
}

#[test]
fn two_that_look_alike_are_two_places_and_one_is_one() {
    let (tv, phone) = (Who(1, HOME, "TV", "tv/news"), Who(2, HOME, "VLC", "tv/news"));
    let mut place = Place::new(2);
    assert_eq!(place.fetch(tv), "held");
    assert_eq!(place.watch(tv, 0..40, 1), 0);
    assert_eq!((place.counted(), place.count()), (1, 1));
    assert_eq!(place.watch(tv, 40..60, 2), 0, "there may be two");
    assert_eq!((place.counted(), place.count()), (2, 1));
    assert_eq!(place.fetch(phone), "limit");
    assert_eq!(place.watch(tv, 60..90, 1), 0, "one of them has left");
    assert_eq!(place.counted(), 1);
    assert_eq!(place.fetch(phone), "held");
    assert_eq!(place.table.take_sharing(), []);
    // It is joined again: both of them would be three.
    for number in 90..130 {
        place.go_on(phone);
        place.watch(tv, number..number + 1, 2);
        assert!(place.counted() <= 2, "{number}");
    }
    assert_eq!(place.fetch(phone), "limit", "whoever began last had to go");
}

#[test]
fn where_one_may_watch_two_that_look_alike_are_refused_and_told_of() {
    let tv = Who(1, HOME, "TV", "tv/news");
    let mut place = Place::new(1);
    assert_eq!(place.fetch(tv), "held");
    assert_eq!(place.watch(tv, 0..20, 1), 0);
    assert_eq!(place.watch(tv, 20..60, 2), 1, "both, as they can't be told apart");
    assert_eq!(place.count(), 0);
    let told = place.table.take_sharing();
    let here = Some(HOME.parse().unwrap());
    let told: Vec<_> = told.iter().map(|of| (of.device, of.from, of.elsewhere)).collect();
    assert_eq!(told, [(1, here, here)]);
    // Whoever is left begins anew.
    assert_eq!(place.after(u64::from(LOOKALIKES_REFUSED_MS)).fetch(tv), "held");
    assert_eq!(place.watch(tv, 60..100, 1), 0);
    let free = Place::new(0).watch(tv, 0..60, 2);
    assert_eq!(free, 0, "who is not limited is not looked at");
}

proptest! {
    /// Whatever devices do, there are never more places than there may be, where each has a token
    /// of its own; and nobody is refused while there is room.
    #[test]
    fn devices_with_tokens_of_their_own_are_counted_exactly(
        max in 1_u32..4,
        steps in prop::collection::vec((0_u64..6, 0_u64..20_000), 1..200),
    ) {
        let mut place = Place::new(max);
        for (token, ms) in steps {
            place.after(ms);
            let who = Who(token, HOME, "VLC", "tv/news");
            let others = place.table.of(Owner::Subscriber(ANNA)).iter();
            let now = place.moment().ticks;
            let is_there = |session: &&Session| !session.is_over(now);
            let others = others.filter(|session| session.handset.token != token).filter(is_there);
            let has_room = others.count() < max as usize;
            prop_assert_eq!(place.fetch(who) == "held", has_room);
            prop_assert!(place.counted() <= max as usize);
            prop_assert!(place.count() <= max as usize);
        }
    }

    /// Whatever comes and goes, each session is found by its names, and nothing is left of any.
    #[test]
    fn nothing_is_kept_of_what_is_over(
        steps in prop::collection::vec((0_u64..4, 0_u8..3, 0_u8..3, 0_u64..12_000), 1..200),
    ) {
        let mut place = Place::new(2);
        for (token, address, channel, ms) in steps {
            let (address, content) = (format!("192.0.2.{address}"), format!("tv/{channel}"));
            place.after(ms).fetch(Who(token, &address, "VLC", &content));
            prop_assert!(place.counted() <= 2);
            for (name, (owner, at)) in &place.table.names {
                prop_assert!(place.table.of(*owner)[*at].names.contains(name));
            }
            let named = place.table.all().map(|session| session.names.len()).sum::<usize>();
            prop_assert_eq!(named, place.table.names.len());
        }
        for _ in 0..10 {
            place.after(15_000);
        }
        prop_assert_eq!(place.count(), 0);
        prop_assert!(place.table.owners.is_empty() && place.table.names.is_empty());
    }
}
