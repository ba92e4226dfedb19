//! Who is signed in, over a real registry, and how many guesses are looked at.

use serde_json::json;

use super::*;
use crate::config::{Config, GUESSES_AN_HOUR_MAX, Limits};
use crate::control::accounts;
use crate::control::app_passwords::{Given, Keys, Passwords};
use crate::control::audit::Act;
use crate::control::entitled;
use crate::control::guard::Settings;
use crate::control::hook::Hook;
use crate::control::post::Post;
use crate::control::registry::{Expected, Kind, Registry, Sqlite, Write};
use crate::control::secrets::Secrets;
use crate::guard::Door;
use crate::ops::security::Events;

/// Runs on a runtime as control's.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

struct Place {
    sign_ins: SignIns,
    registry: Registry,
    keys: Arc<Keys>,
    _state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let registry = Registry::with(Sqlite::open(state.path()).unwrap()).unwrap();
        let keys = Arc::new(Keys::new(Secrets::open(state.path()).unwrap()));
        let post = Arc::new(Post::new(Vec::new()));
        let (_, strikes) = tokio::sync::mpsc::channel(1);
        let settings =
            Settings::new(&Config::default(), &Door::default(), Events::default(), strikes);
        let (guard, _) = Guard::new(settings, Some(registry.clone()), Arc::clone(&post));
        let (_, limits) = tokio::sync::watch::channel(Arc::new(Limits::default()));
        let hook = Arc::new(Hook::new(Some(registry.clone())));
        let desk = Arc::new(Desk::new(Arc::clone(&post), limits, hook));
        let told = (Arc::clone(&post), Arc::clone(&desk));
        entitled::start(registry.clone(), told.0, told.1, Arc::default()).unwrap();
        let followed = accounts::start(registry.clone(), post, Some(&keys)).unwrap();
        let sign_ins = SignIns::new(followed, Arc::new(guard), desk);
        Self { sign_ins, registry, keys, _state: state }
    }

    /// A subscriber with this password; what of it is not usual.
    async fn add(&self, id: &str, password: &str, more: serde_json::Value) {
        let mut document = json!({
            "plan": "gold", "expires": null, "status": "active", "networks": [],
            "agents_allowed": [], "agents_denied": [], "sessions_max": null, "country": null,
        });
        let more = more.as_object().cloned().unwrap_or_default();
        document.as_object_mut().unwrap().extend(more);
        let plan = json!({ "bouquets": [], "sessions_max": 0 });
        let (id, password, keys) = (id.to_owned(), password.to_owned(), Arc::clone(&self.keys));
        let written = self.registry.ask(move |store| {
            let write = |kind, id: &str, document| {
                let (id, expected, document) = (id.to_owned(), Expected::Anything, Some(document));
                Write { kind, id, expected, document, number: None, references: Vec::new() }
            };
            let mut of = Passwords::of(&keys, &id, None);
            of.add(&Given { name: "app".to_owned(), password }, now()).unwrap();
            let plan = write(Kind::Plan, "gold", plan);
            let all = [plan, write(Kind::Subscriber, &id, document), of.write()];
            store.commit(&Act::server(now()), &all).unwrap()
        });
        written.await.unwrap();
    }

    async fn says(&self, from: &str, user: &str, password: &str) -> Result<SignedIn, NotSignedIn> {
        let from = from.parse().ok();
        let said = Said { user, password, from, agent: b"VLC", head: b"GET / HTTP/1.1" };
        self.sign_ins.signed_in(&said).await
    }
}

#[test]
fn whoever_says_the_right_password_is_known_as_soon_as_it_was_given() {
    run(async {
        let place = Place::new();
        place.add("anna", "kx7mq2pt", json!({})).await;
        // At once.
        let anna = place.says("192.0.2.7", "anna", "kx7mq2pt").await.unwrap();
        assert_eq!((anna.subscriber.get(), anna.which), (1, 0));
        for (user, password) in [("anna", "kx7mq2p"), ("zoe", "kx7mq2pt"), ("", "")] {
            let found = place.says("192.0.2.7", user, password).await;
            assert_eq!(found, Err(NotSignedIn::Wrong), "{user}");
        }
    });
}

#[test]
fn a_right_one_of_whoever_may_not_watch_is_right_and_never_counts() {
    run(async {
        let place = Place::new();
        place.add("anna", "right", json!({ "expires": 1000 })).await;
        place.add("berta", "right", json!({ "status": "blocked" })).await;
        for (user, expected) in [("anna", Bar::Expired), ("berta", Bar::Blocked)] {
            let becomes = || async { place.says("192.0.2.7", user, "right").await };
            while becomes().await.map(|of| of.standing) != Ok(Err(expected)) {
                tokio::task::yield_now().await;
            }
            for _ in 0..100 {
                assert!(place.says("192.0.2.7", user, "right").await.is_ok());
            }
            // All of the guesses are left.
            for guess in 0..GUESSES_AN_HOUR_MAX - 1 {
                let wrong = place.says("192.0.2.7", user, &format!("guess {guess}")).await;
                assert_eq!(wrong, Err(NotSignedIn::Wrong));
            }
        }
    });
}

#[test]
fn of_ten_thousand_guesses_twenty_are_looked_at_of_a_user_and_of_nobody_alike() {
    run(async {
        let place = Place::new();
        place.add("anna", "right", json!({})).await;
        assert!(place.says("192.0.2.8", "anna", "right").await.is_ok());
        for user in ["anna", "nobody"] {
            let mut looked_at = 0;
            for guess in 0..10_000 {
                match place.says("192.0.2.7", user, &format!("guess {guess}")).await {
                    Err(NotSignedIn::Wrong) => looked_at += 1,
                    Err(NotSignedIn::LockedOut(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(looked_at, GUESSES_AN_HOUR_MAX);
        }
        let right = place.says("192.0.2.7", "anna", "right").await;
        assert!(matches!(right, Err(NotSignedIn::LockedOut(_))), "{right:?}");
        assert!(place.says("192.0.2.8", "anna", "right").await.is_ok(), "elsewhere");
    });
}
