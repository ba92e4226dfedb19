//! Tokens of others: shown by a request, exchanged for one of ours, and what comes of that.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::{CborSerializable as _, CoseMac0Builder, CoseSign1Builder, HeaderBuilder, iana};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::running::{PATIENCE, Place, Running, done, program, run, serve, until};

mod nginx;
mod revoked;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const LIST: &str = "/vod/a/index.m3u8";

/// Whoever sells: keys, and a server that knows them.
struct Shop {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    config: PathBuf,
    place: Place,
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    let hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    hmac.chain_update(signed).finalize().into_bytes().to_vec()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// All kinds, each with its own name for a parameter.
const SECTIONS: &str = r#"
[[library]]
path = "films"
access = "token"
[[channel]]
id = "news"
access = "token"
archive = "1h"
[[token]]
kind = "secure_link"
expression = "$secure_link_expires$uri$remote_addr $secret"
covers = "folder"
keys = [{ key_file = "secret" }]
[[token]]
kind = "secure_link_secret"
covers = "folder"
keys = [{ key_file = "secret" }]
[[token]]
kind = "edge_auth"
keys = [{ key_file = "secret" }]
[[token]]
kind = "cat"
keys = [
  { id = "hs", algorithm = "HS256", key_file = "secret" },
  { id = "ec", algorithm = "ES256", key_file = "ec.json" },
]
[[token]]
kind = "jwt"
cookie = "tv"
scope = "paths"
keys = [
  { id = "hs", algorithm = "HS256", key_file = "secret" },
  { id = "ec", algorithm = "ES256", key_file = "ec.json" },
  { id = "ed", algorithm = "EdDSA", key_file = "ed.json" },
]
[[token]]
kind = "jwt"
name = "members"
query = ["member"]
header = ""
subject = "sub"
session = "device"
keys = [{ algorithm = "HS256", key_file = "secret" }]
"#;

impl Shop {
    fn new() -> Self {
        let place = Place::new();
        for film in ["films/a", "films/b"] {
            let folder = place.path(film);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("index.m3u8"), "#EXTM3U\n").unwrap();
            std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
        }
        let config = place.config(SECTIONS);
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("[server]\n", "[server]\ningest = \"127.0.0.1:0\"\n");
        std::fs::write(&config, text).unwrap();
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let shop = Self { ec, ed: Ed25519KeyPair::generate().unwrap(), config, place };
        shop.write_keys();
        shop
    }

    fn write_keys(&self) {
        std::fs::write(self.place.path("secret"), format!("{SECRET}\n")).unwrap();
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (encoded(x), encoded(y));
        let ec = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        std::fs::write(self.place.path("ec.json"), ec).unwrap();
        let x = encoded(self.ed.public_key().as_ref());
        let ed = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
        std::fs::write(self.place.path("ed.json"), ed).unwrap();
    }

    fn start(&self) -> Running {
        Running::start(&mut serve(&self.config))
    }

    fn es256(&self, signed: &[u8]) -> Vec<u8> {
        self.ec.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
    }

    fn secure_link(ends: u64) -> String {
        let hash = Md5::digest(format!("{ends}{LIST}127.0.0.1 {SECRET}"));
        format!("?md5={}&expires={ends}", URL_SAFE_NO_PAD.encode(hash))
    }

    fn edge_auth(ends: u64) -> String {
        let fields = format!("exp={ends}~acl=/vod/a/*!/tv/*~id=s1");
        let secret: Vec<_> = SECRET
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
        let hmac = hexadecimal(&hmac(&secret, fields.as_bytes()));
        format!("{fields}~hmac={hmac}")
    }

    fn jwt(&self, id: &str, claims: &str) -> String {
        let word = match id {
            "ec" => "ES256",
            "ed" => "EdDSA",
            _ => "HS256",
        };
        let header = format!(r#"{{"alg":"{word}","kid":"{id}"}}"#);
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = match id {
            "ec" => self.es256(signed.as_bytes()),
            "ed" => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
            _ => hmac(SECRET.as_bytes(), signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn cat(&self, id: &str, ends: u64) -> String {
        let rule = ciborium::Value::Map(vec![(1.into(), "/vod/a/".into())]);
        let rules = ciborium::Value::Map(vec![(3.into(), rule)]);
        let claims = ciborium::Value::Map(vec![(4.into(), ends.into()), (312.into(), rules)]);
        let mut payload = Vec::new();
        ciborium::into_writer(&claims, &mut payload).unwrap();
        let header = |algorithm| HeaderBuilder::new().algorithm(algorithm).build();
        let key = HeaderBuilder::new().key_id(id.as_bytes().to_vec()).build();
        let (tag, envelope) = if id == "ec" {
            let envelope = CoseSign1Builder::new()
                .protected(header(iana::Algorithm::ES256))
                .unprotected(key)
                .payload(payload)
                .create_signature(b"", |signed| self.es256(signed));
            (0xd2, envelope.build().to_vec())
        } else {
            let envelope = CoseMac0Builder::new()
                .protected(header(iana::Algorithm::HMAC_256_256))
                .unprotected(key)
                .payload(payload)
                .create_tag(b"", |signed| hmac(SECRET.as_bytes(), signed));
            (0xd1, envelope.build().to_vec())
        };
        URL_SAFE_NO_PAD.encode([&[0xd8, 61, tag], &envelope.unwrap()[..]].concat())
    }
}

/// The head of an answer.
struct Answer(String);

impl Answer {
    fn line(&self, name: &str) -> Option<&str> {
        let line = |line: &str| line.split_once(": ").is_some_and(|(is, _)| is == name);
        let found = self.0.lines().find(|one| line(one))?;
        found.split_once(": ").map(|(_, value)| value)
    }

    /// Status and reason.
    fn outcome(&self) -> String {
        let reason = self.line("X-Shardcast-Reason").unwrap_or_default();
        format!("{} {reason}", &self.0[9..12]).trim_end().to_owned()
    }

    #[track_caller]
    fn location(&self) -> &str {
        assert_eq!(self.outcome(), "302", "{}", self.0);
        self.line("location").expect("a location")
    }
}

fn ask(server: &Running, last: u8, target: &str, lines: &str) -> Answer {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
    socket.connect(&server.public.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    Answer(String::from_utf8_lossy(&answer[..end]).into_owned())
}

fn get(server: &Running, target: &str, lines: &str) -> Answer {
    ask(server, 1, target, lines)
}

/// The token in an address of ours, and the session in it.
fn token_of(location: &str) -> (&str, Vec<u8>) {
    let token = location.strip_prefix("/s/").unwrap().split('/').next().unwrap();
    (token, URL_SAFE_NO_PAD.decode(token).unwrap()[10..18].to_vec())
}

/// A text of which one character in its longest word is another one.
fn spoiled(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words = text.split(|c| !is_of_word(c));
    let Some(longest) = words.max_by_key(|word| word.len()).filter(|word| word.len() > 20) else {
        return text.to_owned();
    };
    let (start, end) = longest.split_at(longest.len() / 2);
    let other = if end.starts_with('A') { "B" } else { "A" };
    text.replace(longest, &format!("{start}{other}{}", &end[1..]))
}

/// A request that carries a token: its target and its lines, for one that ends then.
type Shown<'s> = Box<dyn Fn(u64) -> (String, String) + 's>;

fn ways(shop: &Shop) -> Vec<(&'static str, Shown<'_>)> {
    let claims = |ends| format!(r#"{{"exp":{ends},"jti":"j","paths":["/vod/a/*"]}}"#);
    let query = |name: &str, text: String| (format!("{LIST}?a=1&{name}={text}&b=2"), String::new());
    vec![
        (
            "secure_link",
            Box::new(|ends| (format!("{LIST}{}&a=1&b=2", Shop::secure_link(ends)), String::new())),
        ),
        ("edge_auth", Box::new(move |ends| query("hdnts", Shop::edge_auth(ends)))),
        (
            "edge_auth, escaped",
            Box::new(move |ends| {
                let text = Shop::edge_auth(ends).replace('=', "%3D").replace('/', "%2f");
                query("__token__", text)
            }),
        ),
        ("jwt by HS256", Box::new(move |ends| query("token", shop.jwt("hs", &claims(ends))))),
        (
            "jwt by ES256 in a cookie",
            Box::new(move |ends| {
                let cookie = format!("Cookie: x=y; tv={}\r\n", shop.jwt("ec", &claims(ends)));
                (format!("{LIST}?a=1&b=2"), cookie)
            }),
        ),
        (
            "jwt by EdDSA in a header",
            Box::new(move |ends| {
                let header = format!("Authorization: Bearer {}\r\n", shop.jwt("ed", &claims(ends)));
                (format!("{LIST}?a=1&b=2"), header)
            }),
        ),
        (
            "cat by HS256 in a header",
            Box::new(|ends| {
                let header = format!("CTA-Common-Access-Token: {}\r\n", shop.cat("hs", ends));
                (format!("{LIST}?a=1&b=2"), header)
            }),
        ),
        ("cat by ES256", Box::new(move |ends| query("CAT", shop.cat("ec", ends)))),
    ]
}

#[test]
fn a_token_of_each_kind_is_exchanged_and_plays_what_it_is_for_and_no_more() {
    let shop = Shop::new();
    let server = shop.start();
    for (way, shown) in ways(&shop) {
        let ends = now() + 1000;
        let (target, lines) = shown(ends);
        let answer = get(&server, &target, &lines);
        let location = answer.location().to_owned();
        let (token, session) = token_of(&location);
        assert_eq!(location, format!("/s/{token}{LIST}?a=1&b=2"), "{way}");
        assert_eq!(answer.line("cache-control"), Some("no-store"), "{way}");
        assert_eq!(answer.line("referrer-policy"), Some("no-referrer"), "{way}");
        assert_eq!(answer.line("Access-Control-Allow-Origin"), Some("*"), "{way}");
        let own = |path: &str| get(&server, &format!("/s/{token}{path}"), "").outcome();
        assert_eq!((own(LIST), own("/vod/a/1.ts")), ("200".to_owned(), "200".to_owned()), "{way}");
        assert_eq!(own("/vod/b/1.ts"), "403 not-entitled", "{way}");
        // It ends with what it was exchanged for.
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        let expires = u64::from(u32::from_be_bytes(bytes[2..6].try_into().unwrap()));
        assert!(expires == ends || (way == "secure_link" && expires == ends + 1), "{way}");
        // Again it is the same session.
        let again = get(&server, &target, &lines);
        assert_eq!(token_of(again.location()).1, session, "{way}");
        let outcome = |(target, lines): (String, String)| get(&server, &target, &lines).outcome();
        assert_eq!(outcome(shown(now() - 10)), "403 token-expired", "{way}");
        let (target, lines) = (spoiled(&target), spoiled(&lines));
        assert_eq!(outcome((target, lines)), "403 token-unknown", "{way}");
        let (target, lines) = shown(ends);
        let other = outcome((target.replace(LIST, "/vod/b/index.m3u8"), lines));
        let expected = if way == "secure_link" { "token-unknown" } else { "not-entitled" };
        assert_eq!(other, format!("403 {expected}"), "{way}");
    }
    let metrics = server.admin_get("/metrics");
    let counted = |reason: &str| {
        metrics.lines().any(|line| line.contains(&format!("\"{reason}\"")) && !line.ends_with(" 0"))
    };
    assert!(counted("token-expired") && counted("token-unknown"), "{metrics}");
}

#[test]
fn a_hash_in_the_path_is_exchanged_too() {
    let shop = Shop::new();
    let server = shop.start();
    let hash = hexadecimal(&Md5::digest(format!("a/index.m3u8{SECRET}")));
    let answer = get(&server, &format!("/vod/{hash}/a/index.m3u8?a=1"), "");
    let (token, _) = token_of(answer.location());
    assert_eq!(answer.location(), format!("/s/{token}{LIST}?a=1"));
    assert_eq!(get(&server, &format!("/s/{token}/vod/a/1.ts"), "").outcome(), "200");
    assert_eq!(get(&server, &format!("/s/{token}/vod/b/1.ts"), "").outcome(), "403 not-entitled");
    let other = get(&server, &format!("/vod/{hash}/a/1.ts"), "").outcome();
    assert_eq!(other, "403 token-unknown");
}

#[test]
fn a_token_of_ours_wins_and_who_carries_none_is_refused_as_before() {
    let shop = Shop::new();
    let server = shop.start();
    let own = done(&shop.config, &["token", "mint", "--scope", "/vod/a/*"]);
    let own = own.trim_end();
    let good = format!("token={}", shop.jwt("hs", &format!(r#"{{"exp":{}}}"#, now() + 100)));
    let paths_of = |paths: &str| {
        let claims = format!(r#"{{"exp":{},"paths":"{paths}"}}"#, now() + 100);
        format!("token={}", shop.jwt("hs", &claims))
    };
    for (target, expected) in [
        (format!("/s/{own}{LIST}?token=garbage"), "200"),
        (format!("/s/garbage{LIST}?{good}"), "403 token-unknown"),
        (LIST.to_owned(), "403 token-missing"),
        (format!("{LIST}?tokens=garbage"), "403 token-missing"),
        (format!("{LIST}?token="), "403 token-missing"),
        (format!("{LIST}?token=garbage"), "403 token-unknown"),
        // It lacks the claim that says for which paths it is.
        (format!("{LIST}?{good}"), "403 token-unfit"),
        // What is open does not ask.
        ("/vod/library/a.ts?token=garbage".to_owned(), "200"),
    ] {
        assert_eq!(get(&server, &target, "").outcome(), expected, "{target}");
    }
    // Also what is live, or past, or not there: what is said of it is said to whoever may have it.
    let live = paths_of("/tv/*");
    for path in ["/tv/news/master.m3u8", "/tv/news/archive/1000-60/master.m3u8"] {
        assert_eq!(get(&server, path, "").outcome(), "403 token-missing");
        assert_eq!(
            get(&server, &format!("{path}?token=garbage"), "").outcome(),
            "403 token-unknown"
        );
        let answer = get(&server, &format!("{path}?{live}"), "");
        let there = get(&server, answer.location(), "").outcome();
        assert!(there.starts_with("404"), "{there}");
    }
    let long = format!("/vod/{}/1.ts?{}", "a".repeat(1000), paths_of("/vod/*"));
    assert_eq!(get(&server, &long, "").outcome(), "302");
    let long = long.replace("/1.ts", &"a".repeat(400));
    assert_eq!(get(&server, &long, "").outcome(), "414 target-too-long");
    let early = format!(r#"{{"exp":{},"nbf":{},"paths":"/vod/*"}}"#, now() + 200, now() + 100);
    let early = get(&server, &format!("{LIST}?token={}", shop.jwt("hs", &early)), "");
    assert_eq!(early.outcome(), "403 token-early");
    drop(server);
    let config = std::fs::read_to_string(&shop.config).unwrap();
    let config = config.replace("access = \"token\"", "access = \"open\"");
    std::fs::write(&shop.config, config).unwrap();
    let server = shop.start();
    assert_eq!(get(&server, &format!("{LIST}?token=garbage"), "").outcome(), "200");
}

/// A member's address, for a device.
fn member(shop: &Shop, name: &str, device: &str) -> String {
    let ends = now() + 1000;
    let claims = format!(r#"{{"exp":{ends},"sub":"{name}","device":"{device}"}}"#);
    format!("{LIST}?member={}", shop.jwt("hs", &claims))
}

fn with_anna(shop: &Shop) -> Running {
    let server = shop.start();
    let done = |arguments: &[&str]| done(&shop.config, arguments);
    done(&["bouquet", "add", "films", "--name", "Films", "--content", "vod/a"]);
    done(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "films", "--sessions", "1"]);
    done(&["subscriber", "add", "Anna", "--plan", "gold"]);
    server
}

#[test]
fn a_token_with_a_subject_is_good_for_what_its_plan_holds_on_as_many_devices() {
    let shop = Shop::new();
    let server = with_anna(&shop);
    let played = |device: &str, path: &str| {
        let shown = get(&server, &member(&shop, "Anna", device), "");
        let (token, _) = token_of(shown.location());
        get(&server, &format!("/s/{token}{path}"), "User-Agent: TV\r\n").outcome()
    };
    until("she is known", || played("tv", "/vod/a/1.ts") == "200");
    // As often as she begins anew it is the same device.
    for _ in 0..3 {
        assert_eq!(played("tv", "/vod/a/1.ts"), "200");
    }
    assert_eq!(played("tv", "/vod/b/1.ts"), "403 not-entitled");
    assert_eq!(played("phone", "/vod/a/1.ts"), "403 session-limit");
    let nobody = get(&server, &member(&shop, "Bela", "tv"), "").outcome();
    assert_eq!(nobody, "403 subscriber-unknown");
    let nameless = format!(r#"{{"exp":{}}}"#, now() + 100);
    let nameless = get(&server, &format!("{LIST}?member={}", shop.jwt("hs", &nameless)), "");
    assert_eq!(nameless.outcome(), "403 token-unfit");
}

#[test]
fn a_subscriber_who_may_watch_no_more_has_no_use_of_what_was_exchanged() {
    let shop = Shop::new();
    let server = with_anna(&shop);
    let done = |arguments: &[&str]| done(&shop.config, arguments);
    let shown = member(&shop, "Anna", "tv");
    let own = get(&server, &shown, "").location().to_owned();
    until("she is known", || get(&server, &own, "").outcome() == "200");
    let end = (now() + 500).to_string();
    done(&["subscriber", "set", "Anna", "--expires", &end]);
    let again = get(&server, &shown, "").location().to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(token_of(&again).0).unwrap();
    assert_eq!(u32::from_be_bytes(bytes[2..6].try_into().unwrap()).to_string(), end);
    for (change, reason) in [
        (&["set", "Anna", "--status", "blocked"][..], "403 subscriber-blocked"),
        (&["set", "Anna", "--status", "active", "--expires", "1000"], "403 subscriber-expired"),
        (&["rm", "Anna"], "403 subscriber-unknown"),
    ] {
        done(&[&["subscriber"], change].concat());
        assert_eq!(get(&server, &shown, "").outcome(), reason, "what is shown");
        if let ["set", ..] = change {
            let text = done(&["subscriber", "explain", "Anna"]);
            let line = format!("{}  {LIST}  127.0.0.1", &reason[4..]);
            assert!(text.contains(&line) && !text.contains("member="), "{text}");
        }
        until(reason, || get(&server, &own, "").outcome() == reason);
    }
}

#[test]
fn a_session_of_a_token_of_others_can_be_kicked() {
    let shop = Shop::new();
    let server = shop.start();
    let claims = format!(r#"{{"exp":{},"jti":"j","paths":["/vod/*"]}}"#, now() + 1000);
    let shown = format!("{LIST}?token={}", shop.jwt("hs", &claims));
    let played = |path: &str| {
        let shown = get(&server, &shown, "");
        let (token, _) = token_of(shown.location());
        get(&server, &format!("/s/{token}{path}"), "").outcome()
    };
    assert_eq!(played("/vod/a/1.ts"), "200");
    let listed = || done(&shop.config, &["session", "ls", "--json"]);
    until("it is listed", || listed().contains("vod/a"));
    let session: serde_json::Value = serde_json::from_str(listed().trim_end()).unwrap();
    done(&shop.config, &["session", "kick", session["id"].as_str().unwrap()]);
    // Also who shows it again.
    until("it is kicked", || played("/vod/a/1.ts") == "403 session-kicked");
    assert_eq!(played("/vod/b/1.ts"), "200");
}

#[test]
fn signatures_that_are_none_are_soon_not_looked_at_and_others_do_not_notice() {
    let shop = Shop::new();
    let server = shop.start();
    let claims = format!(r#"{{"exp":{},"paths":"/vod/*"}}"#, now() + 1000);
    let good = format!("{LIST}?token={}", shop.jwt("ec", &claims));
    let garbage = format!("{}AAAA{}", &good[..good.len() - 8], &good[good.len() - 4..]);
    let outcomes: Vec<_> = (0..200).map(|_| ask(&server, 2, &garbage, "").outcome()).collect();
    let looked_at = outcomes.iter().filter(|one| *one == "403 token-unknown").count();
    let not = outcomes.iter().filter(|one| *one == "503 busy").count();
    assert_eq!(looked_at + not, 200, "{outcomes:?}");
    assert!((64..150).contains(&looked_at), "{looked_at}");
    assert_eq!(ask(&server, 3, &good, "").outcome(), "302");
    // Good ones are as many as one likes.
    for _ in 0..100 {
        assert_eq!(ask(&server, 3, &good, "").outcome(), "302");
    }
}

#[test]
fn keys_change_with_a_reload_and_one_that_is_none_changes_nothing() {
    let shop = Shop::new();
    let server = shop.start();
    let claims = format!(r#"{{"exp":{},"paths":"/vod/*"}}"#, now() + 1000);
    let by_ed = format!("{LIST}?token={}", shop.jwt("ed", &claims));
    let by_hs = format!("{LIST}?token={}", shop.jwt("hs", &claims));
    let outcome = |target: &str| get(&server, target, "").outcome();
    assert_eq!((outcome(&by_ed), outcome(&by_hs)), ("302".to_owned(), "302".to_owned()));
    std::fs::write(shop.place.path("secret"), "another secret of thirty-two bytes\n").unwrap();
    // Edge tokens take digits only: nothing is taken of what is half wrong.
    server.signal("HUP");
    let said = server.says("the keys of [[token]] can't be read");
    let why = said["why"].as_str().unwrap_or_default();
    assert!(why.contains("edge_auth") && why.contains("hexadecimal"), "{said}");
    assert_eq!(outcome(&by_hs), "302");
    std::fs::write(shop.place.path("secret"), "f".repeat(32)).unwrap();
    server.signal("HUP");
    until("the other key", || outcome(&by_hs) == "403 token-unknown");
    assert_eq!(outcome(&by_ed), "302");
    let config = std::fs::read_to_string(&shop.config).unwrap();
    let (without, _) = config.split_once("[[token]]").unwrap();
    std::fs::write(&shop.config, without).unwrap();
    server.signal("HUP");
    until("nobody is asked", || outcome(&by_ed) == "403 token-missing");
}

#[test]
fn a_public_key_that_is_to_be_a_secret_ends_the_start() {
    let shop = Shop::new();
    std::fs::copy(shop.place.path("ec.json"), shop.place.path("secret")).unwrap();
    let only = "[[token]]\nkind = \"jwt\"\n\
                keys = [{ algorithm = \"HS256\", key_file = \"secret\" }]\n";
    let config: &Path = &shop.place.config(only);
    let said = run(&mut serve(config));
    assert_eq!(said.code, 1);
    let last = said.err.lines().last().unwrap();
    assert!(last.contains("[[token]] jwt: ") && last.contains("no secret"), "{last}");
    assert_eq!(run(program().arg("check-config").arg(config)).code, 0, "who checks reads no keys");
    std::fs::remove_file(shop.place.path("secret")).unwrap();
    let said = run(&mut serve(config));
    assert!(said.err.lines().last().unwrap().contains("No such file"), "{}", said.err);
}
