//! The guard over a real registry: who is banned for what, and who is not.

use super::bans::Unbannable;
use super::*;
use crate::config::BANS_MAX;
use crate::control::audit::Act;
use crate::control::registry::{Expected, Kind, Sqlite, Write};
use crate::units::UnixTime;

/// Runs on a runtime as control's.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

struct Place {
    guard: Guard,
    registry: Registry,
    _state: tempfile::TempDir,
}

fn place(config: config::Guard) -> Place {
    let state = tempfile::tempdir().unwrap();
    let registry = Registry::with(Sqlite::open(state.path()).unwrap()).unwrap();
    let all = Config { guard: config, ..Config::default() };
    let (_, strikes) = tokio::sync::mpsc::channel(1);
    let settings = Settings::new(&all, &Door::default(), Events::default(), strikes);
    let post = Arc::new(Post::new(Vec::new()));
    let (guard, _) = Guard::new(settings, Some(registry.clone()), post);
    Place { guard, registry, _state: state }
}

impl Place {
    /// Who is banned, as the registry says.
    async fn banned(&self) -> Vec<String> {
        let listed = self.registry.ask(|store| store.objects(Kind::Ban, "", 100)).await;
        listed.unwrap().unwrap().into_iter().map(|object| object.id).collect()
    }

    async fn strike(&self, from: &str, offence: Offence, mark: u64) {
        let (from, times, account, head) = (from.parse().unwrap(), 1, None, Box::default());
        let strike = Strike { from, offence, mark, times, account, head };
        self.guard.count(&strike, UnixTime(1_800_000_000)).await;
    }
}

fn three() -> config::Guard {
    config::Guard { ban_after: 3, ..config::Guard::default() }
}

#[test]
fn so_many_different_offences_ban_and_the_same_one_over_and_over_does_not() {
    run(async {
        let place = place(three());
        for _ in 0..1_000 {
            place.strike("192.0.2.7", Offence::Token, 1).await;
            place.strike("192.0.2.7", Offence::Flood, 0).await;
        }
        place.strike("192.0.2.7", Offence::Path, 2).await;
        assert_eq!(place.banned().await, [""; 0]);
        for mark in 0..3 {
            place.strike("2001:db8::1:2", Offence::Path, mark).await;
            place.strike("127.0.0.1", Offence::Path, mark).await;
        }
        assert_eq!(place.banned().await, ["2001:db8::/64"], "loopback is allowed");
        place.strike("192.0.2.7", Offence::Token, 3).await;
        assert_eq!(place.banned().await, ["192.0.2.7/32", "2001:db8::/64"]);
    });
}

#[test]
fn nobody_is_banned_where_that_is_off() {
    run(async {
        let place = place(config::Guard { ban_after: 0, ..config::Guard::default() });
        for mark in 0..500 {
            place.strike("192.0.2.7", Offence::Token, mark).await;
        }
        assert_eq!(place.banned().await, [""; 0]);
    });
}

#[test]
fn a_login_that_guesses_is_not_looked_at_and_its_neighbours_are() {
    run(async {
        let place = place(config::Guard::default());
        let from = "192.0.2.7".parse().unwrap();
        let guard = &place.guard;
        let attempt = |account, credential| Attempt { from, account, credential, head: b"" };
        guard.succeeded(&attempt("anna", b"right"));
        let mut looked_at = 0;
        for guess in 0..10_000_u32 {
            let credential = guess.to_be_bytes();
            let attempt = Attempt { from, account: "anna", credential: &credential, head: b"" };
            if guard.may_try(&attempt).is_ok() {
                looked_at += 1;
                guard.failed(&attempt).await;
            }
        }
        assert_eq!(looked_at, GUESSES_AN_HOUR_MAX);
        assert!(guard.may_try(&attempt("anna", b"right")).is_ok(), "her own device");
        assert!(guard.may_try(&attempt("bert", b"any")).is_ok(), "her neighbour");
        let elsewhere = Attempt { from: "192.0.2.8".parse().unwrap(), ..attempt("anna", b"other") };
        assert!(guard.may_try(&elsewhere).is_ok(), "herself, elsewhere");
    });
}

#[test]
fn whoever_is_allowed_can_not_be_banned() {
    let place = place(three());
    let may = |text: &str| place.guard.may_ban(text.parse().unwrap());
    assert_eq!(may("127.0.0.1/32"), Err(Unbannable::Allowed));
    assert_eq!(may("127.0.0.0/7"), Ok(()), "it holds others, too");
    assert_eq!(may("192.0.2.0/24"), Ok(()));
}

#[test]
fn at_the_limit_the_automatic_one_that_ends_first_gives_way() {
    run(async {
        let Place { guard, registry, _state } = place(three());
        let write = |number: usize| {
            let made = if number % 5_000 == 7 { "automatic" } else { "hand" };
            let until = 4_000_000_000 - number;
            let document = serde_json::json!({ "until": until, "made": made, "reason": "" });
            Write {
                kind: Kind::Ban,
                id: format!("10.{}.{}.0/24", number / 256, number % 256),
                expected: Expected::Absent,
                document: Some(document),
                number: None,
                references: Vec::new(),
            }
        };
        let writes: Vec<_> = (0..BANS_MAX).map(write).collect();
        registry
            .ask(move |store| store.commit(&Act::server(now()), &writes).unwrap())
            .await
            .unwrap();
        let guard = Arc::new(guard);
        guard.start().unwrap();
        assert_eq!(guard.may_ban("192.0.2.0/24".parse().unwrap()), Err(Unbannable::Full));
        assert_eq!(guard.may_ban("10.0.0.0/24".parse().unwrap()), Ok(()), "it is there");
        let reason = "three offences".to_owned();
        guard.ban("192.0.2.7/32".parse().unwrap(), reason, UnixTime(1_800_000_000)).await;
        let listed = registry.ask(|store| store.objects(Kind::Ban, "", 2 * BANS_MAX)).await;
        let listed = listed.unwrap().unwrap();
        assert_eq!(listed.len(), BANS_MAX);
        let has = |id: &str| listed.iter().any(|object| object.id == id);
        assert!(has("192.0.2.7/32") && has("10.0.7.0/24") && !has("10.19.143.0/24"));
    });
}

#[test]
fn a_ban_that_has_ended_is_lifted_and_told_of() {
    run(async {
        let Place { guard, registry, _state } = place(three());
        let guard = Arc::new(guard);
        guard.start().unwrap();
        // It ended long ago, as after a server that was off.
        guard.ban("192.0.2.7/32".parse().unwrap(), String::new(), UnixTime(1_000)).await;
        let mut newest = registry.newest();
        let is_gone = async {
            loop {
                let listed = registry.ask(|store| store.objects(Kind::Ban, "", 10)).await;
                if listed.unwrap().unwrap().is_empty() {
                    return;
                }
                newest.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), is_gone).await.unwrap();
        assert_eq!(guard.ban_of("192.0.2.7".parse().unwrap()), None);
    });
}
