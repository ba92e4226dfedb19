//! Tests of a shard's leases, by a clock that the test sets.

use super::super::session::Content;
use super::*;

const NEWS: Content<'_> = Content::Channel("news");
const LIMIT: Verdict = Verdict::Refused { over: Over::Limit, for_ms: 1_000 };

fn viewing(token: u64, content: Content<'_>) -> Viewing<'_> {
    let peer = Some(IpAddr::from([192, 0, 2, 1]));
    Viewing { subscriber: NonZeroU32::new(7), token, peer, agent: b"VLC", content }
}

/// What control is told now, as text.
fn told(leases: &mut Leases, now: u64) -> Vec<String> {
    let mut told = Vec::new();
    leases.tell(Ticks(now), |news| {
        told.push(match news {
            News::Asked(start) => format!("asked {} {}", start.token, start.length_ms),
            News::Begun(start) => format!("begun {} {}", start.token, start.length_ms),
            News::Seen(seen, _) => {
                let lengths: Vec<_> = seen.iter().map(|seen| seen.length_ms).collect();
                format!("seen {lengths:?}")
            }
            News::Fetched(fetched) => format!("fetched {}", fetched.len()),
            News::Players(_) | News::Sent(_) => unreachable!("others tell of them"),
        });
        Ok(())
    });
    told
}

fn ask(leases: &mut Leases, token: u64, now: u64) -> Standing {
    leases.ask(&viewing(token, NEWS), true, Ticks(now), || None).1
}

#[test]
fn the_first_request_asks_and_the_others_wait_with_it() {
    let mut leases = Leases::default();
    let id = viewing(1, NEWS).id();
    assert_eq!(
        (ask(&mut leases, 1, 0), ask(&mut leases, 1, 5)),
        (Standing::Asked, Standing::Asked)
    );
    assert_eq!(told(&mut leases, 5), ["asked 1 15000"]);
    assert!(leases.hear(id, Verdict::Held, Ticks(6)), "they wait no longer");
    assert!(!leases.hear(id, Verdict::Held, Ticks(6)));
    assert_eq!(ask(&mut leases, 1, 7), Standing::Held);
    assert_eq!(ask(&mut leases, 2, 7), Standing::Asked);
}

#[test]
fn a_lease_goes_on_as_long_as_it_is_used_and_control_hears_of_it() {
    let mut leases = Leases::default();
    let id = viewing(1, NEWS).id();
    ask(&mut leases, 1, 0);
    leases.hear(id, Verdict::Held, Ticks(0));
    assert_eq!(told(&mut leases, 0), ["asked 1 15000"]);
    for now in [600, 700, 800] {
        assert_eq!(ask(&mut leases, 1, now), Standing::Held);
    }
    assert_eq!(told(&mut leases, 900), ["seen [15000]"]);
    let long = leases.ask(&viewing(1, NEWS), true, Ticks(15_700), || Some(18_000)).1;
    assert_eq!(long, Standing::Held);
    assert_eq!(told(&mut leases, 15_700), ["seen [18000]"], "three long segments");
    assert_eq!(ask(&mut leases, 1, 33_699), Standing::Held);
    assert_eq!(ask(&mut leases, 1, 33_699 + 18_000), Standing::Asked, "it was over");
}

#[test]
fn control_hears_seldom_of_one_beside_which_there_is_room() {
    let mut leases = Leases::default();
    let id = viewing(1, NEWS).id();
    ask(&mut leases, 1, 0);
    leases.hear(id, Verdict::Held, Ticks(0));
    leases.hear(id, Verdict::Roomy, Ticks(0));
    told(&mut leases, 0);
    let mut heard = Vec::new();
    for now in (500..9_400).step_by(100) {
        ask(&mut leases, 1, now);
        heard.extend(told(&mut leases, now).into_iter().map(|_| now));
    }
    assert_eq!(heard, [500, 4_000, 8_000]);
    // There is no room any more: when it was used last is told at once, and often from now on.
    leases.hear(id, Verdict::Crowded, Ticks(9_900));
    assert!(leases.wait_ms(Ticks(9_900)).is_some());
    leases.tell(Ticks(10_500), |news| {
        let used = Seen { id, length_ms: 15_000, at: Ticks(9_300) };
        assert_eq!(news, News::Seen(vec![used], Ticks(10_500)));
        Ok(())
    });
    assert_eq!(ask(&mut leases, 1, 10_600), Standing::Held);
    assert_eq!(told(&mut leases, 11_500), ["seen [15000]"]);
    // Who is not known here is not made known by that.
    leases.hear(viewing(2, NEWS).id(), Verdict::Roomy, Ticks(11_500));
    assert_eq!(leases.known.len(), 1);
}

#[test]
fn who_is_refused_is_refused_for_a_while_and_asks_again() {
    let mut leases = Leases::default();
    let id = viewing(1, NEWS).id();
    ask(&mut leases, 1, 0);
    assert!(leases.hear(id, LIMIT, Ticks(10)));
    assert_eq!(ask(&mut leases, 1, 1_009), Standing::Refused(Over::Limit));
    assert_eq!(leases.ended(id, Ticks(1_009)), Some(Over::Limit));
    assert_eq!(leases.ended(id, Ticks(1_010)), None);
    assert_eq!(ask(&mut leases, 1, 1_010), Standing::Asked);
    // One that was let in elsewhere can be ended here, too.
    let other = viewing(2, NEWS).id();
    assert!(!leases.hear(id, Verdict::Unknown, Ticks(1_020)), "it is asked about");
    assert_eq!(ask(&mut leases, 1, 1_020), Standing::Asked);
    leases.hear(id, Verdict::Held, Ticks(1_020));
    leases.hear(id, Verdict::Unknown, Ticks(1_030));
    assert_eq!(ask(&mut leases, 1, 1_030), Standing::Asked, "it begins anew");
    let kicked = Verdict::Refused { over: Over::Kicked, for_ms: 60_000 };
    assert!(!leases.hear(other, kicked, Ticks(0)));
    assert_eq!(ask(&mut leases, 2, 59_999), Standing::Refused(Over::Kicked));
}

#[test]
fn where_control_does_not_speak_whoever_has_paid_is_let_in() {
    let mut leases = Leases::default();
    let (one, two) = (viewing(1, NEWS).id(), viewing(2, NEWS).id());
    ask(&mut leases, 1, 0);
    ask(&mut leases, 2, 10);
    leases.hear(one, Verdict::Held, Ticks(20));
    assert_eq!(leases.overdue(Ticks(1_009)), None);
    assert_eq!(leases.wait_ms(Ticks(1_009)), Some(1), "{leases:?}");
    assert_eq!(leases.overdue(Ticks(1_010)), Some(two));
    assert_eq!(leases.overdue(Ticks(1_010)), None);
    assert_eq!(ask(&mut leases, 2, 1_011), Standing::Held);
    // It speaks at last.
    assert!(!leases.hear(two, LIMIT, Ticks(5_000)));
    assert_eq!(leases.ended(two, Ticks(5_001)), Some(Over::Limit));
}

#[test]
fn where_a_back_end_is_asked_all_wait_for_it_and_may_be_refused_without_it() {
    let mut leases = Leases::default();
    leases.ask_as(Asking { of_all: true, within_ms: 3_000, refuses: true, of_logins: false });
    let id = viewing(1, NEWS).id();
    let unlimited =
        |leases: &mut Leases, now| leases.ask(&viewing(1, NEWS), false, Ticks(now), || None).1;
    assert_eq!(unlimited(&mut leases, 0), Standing::Asked);
    assert_eq!(leases.overdue(Ticks(2_999)), None);
    assert_eq!(leases.overdue(Ticks(3_000)), Some(id));
    assert_eq!(unlimited(&mut leases, 3_001), Standing::Refused(Over::Unheard));
    assert_eq!(unlimited(&mut leases, 4_000), Standing::Asked, "it asks again");
    assert!(leases.hear(id, Verdict::Held, Ticks(4_100)));
    // Whoever goes on is asked about no more.
    assert_eq!(unlimited(&mut leases, 19_000), Standing::Held);
    leases.ask_as(Asking::default());
    assert_eq!(unlimited(&mut leases, 90_000), Standing::Held);
}

#[test]
fn what_finds_no_room_is_told_later_and_in_order() {
    let mut leases = Leases::default();
    ask(&mut leases, 1, 0);
    leases.ask(&viewing(2, NEWS), false, Ticks(0), || None);
    leases.tell(Ticks(0), Err);
    assert!(leases.wait_ms(Ticks(0)).is_some());
    assert_eq!(told(&mut leases, 1), ["asked 1 15000", "begun 2 15000"]);
    assert_eq!(told(&mut leases, 1), [""; 0]);
}

#[test]
fn what_is_over_is_forgotten() {
    let mut leases = Leases::default();
    for token in 0..10 * LEASES_KEPT_MIN as u64 {
        leases.ask(&viewing(token, NEWS), false, Ticks(token * 100), || None);
    }
    let known = leases.known.len();
    assert!(known <= LEASES_KEPT_MIN, "{known}");
    // An answer that still goes on is a session all the same.
    leases.go_on(viewing(0, NEWS).id(), Ticks(0));
}

#[test]
fn there_is_an_end_to_what_is_kept_for_control_and_it_is_mended() {
    let mut leases = Leases::default();
    for token in 0..SESSION_NEWS_KEPT_MAX as u64 {
        leases.ask(&viewing(token, NEWS), false, Ticks(0), || None);
    }
    assert_eq!(ask(&mut leases, u64::MAX, 0), Standing::Full);
    let unlimited = leases.ask(&viewing(u64::MAX, NEWS), false, Ticks(0), || None).1;
    assert_eq!(unlimited, Standing::Held);
    assert_eq!(told(&mut leases, 0).len(), SESSION_NEWS_KEPT_MAX);
    assert_eq!(ask(&mut leases, u64::MAX, 0), Standing::Asked);
}

#[test]
fn what_goes_on_is_told_once_however_long_control_takes() {
    let mut leases = Leases::default();
    leases.ask(&viewing(1, NEWS), false, Ticks(0), || None);
    told(&mut leases, 0);
    for now in (0..14_000).step_by(500) {
        ask(&mut leases, 1, now);
        leases.tell(Ticks(now), Err);
    }
    assert_eq!(told(&mut leases, 14_000), ["seen [15000]"]);
}
