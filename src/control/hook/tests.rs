//! What is asked, remembered and decided, against a small server on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;
use crate::config;

const ANNA: NonZeroU32 = NonZeroU32::new(7).unwrap();

/// A back end that says this to everything, and how often it was asked.
async fn back_end(says: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::task::spawn_local(async move {
                let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
                while let Ok(size @ 1..) = stream.read(&mut some).await {
                    bytes.extend_from_slice(&some[..size]);
                    if !bytes.ends_with(b"}") {
                        continue;
                    }
                    bytes.clear();
                    counted.fetch_add(1, Ordering::Relaxed);
                    if !says.is_empty() {
                        stream.write_all(says.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (url, count)
}

/// One that asks there.
fn hook(url: &str, change: impl FnOnce(&mut config::Hook)) -> (Arc<Hook>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, "0123456789abcdef0123456789abcdef\n").unwrap();
    let mut settings = config::Hook {
        url: config::HookUrl::of_text(url).ok(),
        secret_file: Some(secret_file),
        deadline_ms: 5_000,
        ..config::Hook::default()
    };
    change(&mut settings);
    let hook = Arc::new(Hook::new(None));
    hook.take(Endpoint::open(&settings).unwrap().map(Arc::new));
    (hook, folder)
}

fn wanted(token: u64) -> Wanted {
    Wanted {
        event: Event::Session,
        subscriber: Some(ANNA),
        token,
        content: Some("tv/news".to_owned()),
        address: "192.0.2.7".parse().ok(),
        place: geo::Place::default(),
        agent: (*b"VLC").into(),
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

const YES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"allow\":true}";
const NO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n{\"allow\":false,\"reason\":\"unpaid\",\"ttl\":86400}";

#[test]
fn what_was_said_is_good_for_a_while_and_asked_once_however_many_want_it() {
    run(async {
        let (url, count) = back_end(YES).await;
        let (hook, _folder) = hook(&url, |_| {});
        let asks = (0..50).map(|_| {
            tokio::task::spawn_local({
                let hook = Arc::clone(&hook);
                async move { hook.ask(wanted(1)).await }
            })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), Decision::Allowed(None));
        }
        assert_eq!(count.load(Ordering::Relaxed), 1, "50 want the same");
        assert_eq!(hook.ask(wanted(1)).await, Decision::Allowed(None));
        assert_eq!(hook.ask(wanted(2)).await, Decision::Allowed(None));
        assert_eq!(count.load(Ordering::Relaxed), 2, "another device is another question");
        let figures = hook.figures().unwrap();
        let outcomes = [(("session", "allowed"), 2), (("session", "cached"), 1)];
        assert_eq!(figures.outcomes, outcomes);
        assert_eq!((figures.waiting, figures.is_left_alone), (0, false));
        // Another one has said nothing yet.
        let (other, _count) = back_end(NO).await;
        let (settings, ..) = (hook.state().endpoint.as_ref().unwrap().settings.clone(),);
        let url = config::HookUrl::of_text(&other).ok();
        let settings = config::Hook { url, ..settings };
        hook.take(Endpoint::open(&settings).unwrap().map(Arc::new));
        assert_eq!(hook.known(&wanted(1)), None);
    });
}

#[test]
fn a_no_has_a_reason_and_is_said_again_without_a_question() {
    run(async {
        let (url, count) = back_end(NO).await;
        let (hook, _folder) = hook(&url, |_| {});
        let refused = Decision::Refused(Some("unpaid".into()), 5_000);
        assert_eq!(hook.ask(wanted(1)).await, refused);
        assert_eq!(hook.known(&wanted(1)), Some(refused.clone()));
        assert_eq!(refused.over(), Some((Over::Hook, 5_000)));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let last = hook.last(ANNA).unwrap();
        assert_eq!((last.content.as_deref(), last.decision), (Some("tv/news"), refused));
    });
}

#[test]
fn whoever_does_not_answer_is_left_alone_and_what_holds_is_what_was_chosen() {
    run(async {
        for (chosen, over) in
            [(OnFailure::Allow, None), (OnFailure::Refuse, Some((Over::Unheard, 1_000)))]
        {
            let (url, count) = back_end("").await;
            let (hook, _folder) = hook(&url, |of| (of.deadline_ms, of.on_failure) = (200, chosen));
            for token in 1..=20 {
                let decision = hook.ask(wanted(token)).await;
                assert_eq!(decision, Decision::Unheard(chosen));
                assert_eq!(decision.over(), over);
            }
            assert!(count.load(Ordering::Relaxed) <= 5, "in a row");
            let outcomes = [(("session", "left-alone"), 15), (("session", "timed-out"), 5)];
            let figures = hook.figures().unwrap();
            assert_eq!(figures.outcomes, outcomes);
            assert!(figures.is_left_alone);
            assert_eq!(hook.asking().refuses, chosen == OnFailure::Refuse);
        }
    });
}

#[test]
fn whoever_makes_up_devices_gets_in_by_none_of_them_and_holds_up_nobody() {
    run(async {
        let (url, count) = back_end("").await;
        let (hook, _folder) = hook(&url, |of| of.deadline_ms = 2_000);
        let ask = |wanted: Wanted| {
            let hook = Arc::clone(&hook);
            tokio::task::spawn_local(async move { hook.ask(wanted).await })
        };
        let waiting: Vec<_> = (1..=8).map(|token| ask(wanted(token))).collect();
        tokio::task::yield_now().await;
        let refused = hook.ask(wanted(9)).await;
        assert_eq!(refused.over(), Some((Over::Unheard, 1_000)), "on_failure is allow");
        // Of others there is room, a token that names nobody counts by itself.
        let others = [
            Wanted { subscriber: NonZeroU32::new(8), ..wanted(9) },
            Wanted { subscriber: None, ..wanted(9) },
        ];
        let others: Vec<_> = others.into_iter().map(ask).collect();
        for asked in waiting.into_iter().chain(others) {
            assert_eq!(asked.await.unwrap(), Decision::Unheard(OnFailure::Allow));
        }
        assert_eq!(count.load(Ordering::Relaxed), 10);
        assert!(hook.figures().unwrap().outcomes.contains(&(("session", "too-many-of-one"), 1)));
    });
}

#[test]
fn what_is_no_answer_is_garbage() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000));
    let large: &'static str = large.leak();
    for says in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 500 No\r\nContent-Length: 14\r\n\r\n{\"allow\":true}",
        "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        large,
    ] {
        run(async {
            let (url, _count) = back_end(says).await;
            let (hook, _folder) = hook(&url, |_| {});
            assert_eq!(hook.ask(wanted(1)).await, Decision::Unheard(OnFailure::Allow));
            let outcomes = hook.figures().unwrap().outcomes;
            assert_eq!(outcomes, [(("session", "garbage"), 1)], "{says:.60}");
        });
    }
}

#[test]
fn nobody_is_asked_where_there_is_nobody_and_shards_are_told_how_long_to_wait() {
    run(async {
        let hook = Arc::new(Hook::new(None));
        assert_eq!(hook.ask(wanted(1)).await, Decision::Allowed(None));
        assert_eq!(hook.asking(), Asking::default());
        assert!(hook.figures().is_none() && !hook.asks(Event::Session));
        let (hook, _folder) = self::hook("http://127.0.0.1:1/", |of| of.deadline_ms = 3_000);
        let asking = Asking { of_all: true, within_ms: 3_500, refuses: false, of_logins: true };
        assert_eq!(hook.asking(), asking);
        hook.take(None);
        assert_eq!(hook.asking(), Asking::default());
        let (hook, _folder) = self::hook("http://127.0.0.1:1/", |of| of.asks_sessions = false);
        assert_eq!(hook.asking(), Asking { of_logins: true, ..Asking::default() });
        assert!(hook.asks(Event::Login) && !hook.asks(Event::Session));
    });
}

#[test]
fn a_secret_that_is_too_short_and_files_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "short\n").unwrap();
    let url = config::HookUrl::of_text("https://crm/").ok();
    let short = config::Hook { url, secret_file: Some(path.clone()), ..config::Hook::default() };
    let wrong = |of: &config::Hook| Endpoint::open(of).map(drop).unwrap_err();
    assert_eq!(wrong(&short).0, "hook.secret_file");
    std::fs::write(&path, [7; 32]).unwrap();
    let no_voucher = config::Hook { ca_file: Some(path), ..short };
    assert_eq!(wrong(&no_voucher).0, "hook.ca_file");
}

/// A back end with this certificate, which says yes.
async fn with_tls(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> String {
    use rustls::pki_types::PrivateKeyDer;

    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut some = [0; 4096];
            while let Ok(size @ 1..) = stream.read(&mut some).await {
                if some[..size].ends_with(b"}") {
                    stream.write_all(YES.as_bytes()).await.unwrap();
                }
            }
        }
    });
    url
}

#[test]
fn over_tls_only_a_back_end_that_is_vouched_for_is_asked() {
    run(async {
        let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, other) = (made(), made());
        let url = with_tls(&certificate).await;
        let folder = tempfile::tempdir().unwrap();
        for (at, voucher, expected) in [
            (0, &certificate, Decision::Allowed(None)),
            (1, &other, Decision::Unheard(OnFailure::Allow)),
        ] {
            let ca_file = folder.path().join(at.to_string());
            std::fs::write(&ca_file, voucher.cert.pem()).unwrap();
            let (hook, _folder) = hook(&url, |of| {
                (of.ca_file, of.deadline_ms) = (Some(ca_file), 5_000);
            });
            assert_eq!(hook.ask(wanted(1)).await, expected);
            let outcomes = hook.figures().unwrap().outcomes;
            let outcome = if at == 0 { "allowed" } else { "unreachable" };
            assert_eq!(outcomes, [(("session", outcome), 1)]);
        }
    });
}
