//! Vectors of norms, and what attackers make of good tokens.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;

use super::*;
use crate::config::foreign::{self, Algorithm, Carriers, Piece};

mod claims;
mod vectors;

const NOON: UnixTime = UnixTime(1_800_000_000);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn section(kind: Kind) -> Section {
    Section {
        name: kind.word().to_owned(),
        kind,
        path: "/".to_owned(),
        carried: Carriers::default(),
        keys: Vec::new(),
        subject: None,
        session: None,
        scope: None,
        issuer: None,
        audience: None,
        scheme: None,
        expression: Vec::new(),
        expires: (kind == Kind::SecureLink).then(|| "expires".to_owned()),
        covers_folder: false,
        salt_file: None,
        escapes: false,
    }
}

/// A section's verifier with these keys: id, algorithm and what stands in the file.
fn verifier(section: Section, keys: &[(&str, Algorithm, &str)]) -> Verifier {
    let key = |&(id, algorithm, _): &(&str, _, _)| foreign::Key {
        id: id.to_owned(),
        algorithm,
        file: "key".into(),
    };
    let section = Section { keys: keys.iter().map(key).collect(), ..section };
    let files: Vec<_> = keys.iter().map(|(_, _, text)| format!("{text}\n").into_bytes()).collect();
    Verifier::new(section, &files, None).unwrap()
}

/// What is wrong with a key file.
fn refused(kind: Kind, algorithm: Algorithm, text: &str) -> String {
    let key = foreign::Key { id: String::new(), algorithm, file: "k".into() };
    let section = Section { keys: vec![key], ..section(kind) };
    match Verifier::new(section, &[text.as_bytes().to_vec()], None) {
        Ok(_) => "a key".to_owned(),
        Err(why) => why.strip_prefix("k: ").unwrap().to_owned(),
    }
}

fn presented(text: &str, path: &str, query: &str) -> Presented {
    Presented {
        text: text.to_owned(),
        path: path.to_owned(),
        raw: path.to_owned(),
        query: query.to_owned(),
        host: "tv.example:8080".to_owned(),
        peer: Some("192.0.2.7".parse().unwrap()),
    }
}

fn hmac_of(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    let hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    hmac.chain_update(signed).finalize().into_bytes().to_vec()
}

/// A pair of keys, and its public half in PEM.
struct Pair {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Pair {
    fn new() -> Self {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { ec, ed: Ed25519KeyPair::generate().unwrap() }
    }

    fn es256(&self, signed: &[u8]) -> Vec<u8> {
        self.ec.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
    }

    fn eddsa(&self, signed: &[u8]) -> Vec<u8> {
        self.ed.sign(signed).as_ref().to_vec()
    }

    fn pem_of(head: &str, key: &[u8]) -> String {
        let der = [key::of_hex(head).unwrap(), key.to_vec()].concat();
        let body = STANDARD.encode(der);
        let (first, rest) = body.split_at(body.len().min(64));
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{rest}\n-----END PUBLIC KEY-----\n")
    }

    fn ec_pem(&self) -> String {
        let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        Self::pem_of(head, self.ec.public_key().as_ref())
    }

    fn ed_pem(&self) -> String {
        Self::pem_of("302a300506032b6570032100", self.ed.public_key().as_ref())
    }
}

fn jwt(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A token that is good from `NOON` on, for ten seconds.
struct Sample {
    verifier: Verifier,
    presented: Presented,
    /// The first second in which it is not good.
    ends: u64,
    /// Whether it says when it begins.
    begins: bool,
}

impl Sample {
    fn with(&self, text: &str) -> Result<Verified, Denied> {
        let presented = Presented { text: text.to_owned(), ..self.presented.clone() };
        self.verifier.verified(&presented, NOON)
    }

    fn at(&self, seconds: u64) -> Result<(), Denied> {
        self.verifier.verified(&self.presented, UnixTime(seconds)).map(drop)
    }
}

const PATH: &str = "/vod/a/index.m3u8";

fn secure_link() -> Sample {
    let expires = NOON.0 + 9;
    let section = Section {
        expression: vec![
            Piece::Expires,
            Piece::Uri,
            Piece::Address,
            Piece::Text(" ".to_owned()),
            Piece::Secret,
        ],
        ..section(Kind::SecureLink)
    };
    let hash = <md5::Md5 as md5::Digest>::digest(format!("{expires}{PATH}192.0.2.7 {SECRET}"));
    let query = format!("md5=x&expires={expires}");
    Sample {
        verifier: verifier(section, &[("", Algorithm::Md5, SECRET)]),
        presented: presented(&URL_SAFE_NO_PAD.encode(hash), PATH, &query),
        ends: NOON.0 + 10,
        begins: false,
    }
}

fn edge_auth() -> Sample {
    let (begins, ends) = (NOON.0, NOON.0 + 10);
    let fields = format!("ip=192.0.2.7~st={begins}~exp={ends}~acl=/vod/a/*!/tv/*~id=s1~data=anna");
    let hmac = hmac_of(&key::of_hex(SECRET).unwrap(), fields.as_bytes());
    let hmac: String = hmac.iter().map(|byte| format!("{byte:02x}")).collect();
    let session = Some("id".to_owned());
    let section = Section { session, ..section(Kind::EdgeAuth) };
    Sample {
        verifier: verifier(section, &[("", Algorithm::HmacSha256, SECRET)]),
        presented: presented(&format!("{fields}~hmac={hmac}"), PATH, ""),
        ends,
        begins: true,
    }
}

fn jwt_by(algorithm: Algorithm) -> Sample {
    let (begins, ends) = (NOON.0, NOON.0 + 10);
    let pair = Pair::new();
    let claims =
        format!(r#"{{"iss":"shop","sub":"anna","nbf":{begins},"iat":{begins},"exp":{ends}}}"#);
    let header = format!(r#"{{"alg":"{}","kid":"k1"}}"#, algorithm.word());
    let (text, key) = match algorithm {
        Algorithm::Es256 => (jwt(&header, &claims, |signed| pair.es256(signed)), pair.ec_pem()),
        Algorithm::EdDsa => (jwt(&header, &claims, |signed| pair.eddsa(signed)), pair.ed_pem()),
        _ => {
            let sign = |signed: &[u8]| hmac_of(SECRET.as_bytes(), signed);
            (jwt(&header, &claims, sign), SECRET.to_owned())
        }
    };
    Sample {
        verifier: verifier(section(Kind::Jwt), &[("k1", algorithm, &key)]),
        presented: presented(&text, PATH, ""),
        ends,
        begins: true,
    }
}

fn cat_by(algorithm: Algorithm) -> Sample {
    let (begins, ends) = (NOON.0, NOON.0 + 10);
    let (pair, key) = (Pair::new(), SECRET.to_owned());
    let claims = claims::map(&[(4, ends.into()), (5, begins.into()), (7, vec![7_u8].into())]);
    let text = claims::cat(&claims, algorithm, &pair);
    let key = if algorithm == Algorithm::Es256 { pair.ec_pem() } else { key };
    Sample {
        verifier: verifier(section(Kind::Cat), &[("k1", algorithm, &key)]),
        presented: presented(&text, PATH, ""),
        ends,
        begins: true,
    }
}

fn samples() -> Vec<Sample> {
    let jwts = [Algorithm::HmacSha256, Algorithm::Es256, Algorithm::EdDsa].map(jwt_by);
    let cats = [Algorithm::HmacSha256, Algorithm::Es256].map(cat_by);
    [secure_link(), edge_auth()].into_iter().chain(jwts).chain(cats).collect()
}

#[test]
fn a_good_token_of_each_kind_is_good_in_its_seconds_and_in_no_other() {
    for sample in samples() {
        let name = sample.verifier.section.name.clone();
        let first = sample.with(&sample.presented.text);
        assert!(first.is_ok(), "{name}: {first:?}");
        assert_eq!(first, sample.with(&sample.presented.text), "{name}: the same again");
        assert_eq!(sample.at(sample.ends - 1), Ok(()), "{name}");
        assert_eq!(sample.at(sample.ends), Err(Denied::Expired), "{name}");
        let before = if sample.begins { Err(Denied::Early) } else { Ok(()) };
        assert_eq!(sample.at(NOON.0 - 1), before, "{name}");
    }
}

#[test]
fn a_token_that_was_cut_is_refused_wherever_it_was() {
    for sample in samples() {
        let text = &sample.presented.text;
        for size in 0..text.len() {
            assert_eq!(sample.with(&text[..size]), Err(Denied::Unknown), "{}", &text[..size]);
            // Before an envelope stand tags that may be left out.
            if sample.verifier.section.kind != Kind::Cat {
                assert_eq!(sample.with(&text[text.len() - size..]), Err(Denied::Unknown));
            }
        }
        for longer in
            [format!("{text}A"), format!("{text}."), format!("{text}~"), format!(" {text}")]
        {
            assert_eq!(sample.with(&longer), Err(Denied::Unknown), "{longer}");
        }
    }
}

#[test]
fn a_token_of_which_a_bit_was_changed_is_refused_whichever_it_was() {
    for sample in samples() {
        for at in 0..sample.presented.text.len() {
            for bit in 0..7 {
                let mut bytes = sample.presented.text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let text = String::from_utf8(bytes).expect("ASCII");
                assert_eq!(sample.with(&text), Err(Denied::Unknown), "{at} {bit}: {text}");
            }
        }
    }
}

#[test]
fn parts_in_another_order_are_another_token() {
    let sample = edge_auth();
    let fields: Vec<_> = sample.presented.text.split('~').collect();
    for one in 0..fields.len() {
        for other in 0..one {
            let mut swapped = fields.clone();
            swapped.swap(one, other);
            assert_eq!(sample.with(&swapped.join("~")), Err(Denied::Unknown), "{swapped:?}");
        }
        let twice = [&fields[..=one], &fields[one..]].concat();
        assert_eq!(sample.with(&twice.join("~")), Err(Denied::Unknown), "{twice:?}");
    }
    let sample = jwt_by(Algorithm::Es256);
    let parts: Vec<_> = sample.presented.text.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for other in
        [[payload, header, signature], [header, signature, payload], [signature, payload, header]]
    {
        assert_eq!(sample.with(&other.join(".")), Err(Denied::Unknown));
    }
}

#[test]
fn fields_that_somebody_signed_in_another_order_are_not_read() {
    let sample = edge_auth();
    let end = NOON.0 + 10;
    for fields in [
        format!("exp={end}~st=1"),
        format!("exp={end}~exp={end}"),
        format!("exp={end}~acl="),
        format!("exp={end}~who=me"),
        format!("exp={end}~acl"),
        "acl=/*".to_owned(),
        "exp=soon~acl=/*".to_owned(),
        format!("exp=+{end}~acl=/*"),
        format!("ip=nowhere~exp={end}~acl=/*"),
    ] {
        let hmac = hmac_of(&key::of_hex(SECRET).unwrap(), fields.as_bytes());
        let hmac: String = hmac.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = sample.with(&format!("{fields}~hmac={hmac}"));
        assert!(matches!(said, Err(Denied::Unknown | Denied::Unfit)), "{fields}: {said:?}");
    }
}

#[test]
fn a_key_of_somebody_else_signs_nothing() {
    let other = "fedcba9876543210fedcba9876543210";
    for (sample, algorithm) in
        [(secure_link(), Algorithm::Md5), (edge_auth(), Algorithm::HmacSha256)]
    {
        let with = |keys: &[_]| {
            let verifier = verifier(sample.verifier.section.clone(), keys);
            verifier.verified(&sample.presented, NOON).map(drop)
        };
        let (ours, theirs) = (("new", algorithm, SECRET), ("old", algorithm, other));
        assert_eq!(with(&[theirs]), Err(Denied::Unknown));
        // Any of several is tried.
        assert_eq!(with(&[theirs, ours]), Ok(()));
    }
    for algorithm in [Algorithm::HmacSha256, Algorithm::Es256, Algorithm::EdDsa] {
        let theirs = jwt_by(algorithm).presented.text;
        let said = jwt_by(algorithm).with(&theirs).map(drop);
        let expected = if algorithm.is_public() { Err(Denied::Unknown) } else { Ok(()) };
        assert_eq!(said, expected, "{algorithm:?}: each pair is another one");
    }
    let theirs = cat_by(Algorithm::Es256).presented.text;
    assert_eq!(cat_by(Algorithm::Es256).with(&theirs), Err(Denied::Unknown));
}

#[test]
fn a_token_does_not_choose_its_algorithm() {
    let pair = Pair::new();
    let (ec, ed) = (pair.ec_pem(), pair.ed_pem());
    let keys = [
        ("hs", Algorithm::HmacSha256, SECRET),
        ("ec", Algorithm::Es256, &*ec),
        ("ed", Algorithm::EdDsa, &*ed),
    ];
    let verifier = verifier(section(Kind::Jwt), &keys);
    let claims = format!(r#"{{"exp":{}}}"#, NOON.0 + 10);
    let (raw_ec, raw_ed) = (pair.ec.public_key().as_ref(), pair.ed.public_key().as_ref());
    type Sign<'s> = Box<dyn Fn(&[u8]) -> Vec<u8> + 's>;
    let ways: Vec<(&str, Sign<'_>)> = vec![
        ("hs", Box::new(|signed| hmac_of(SECRET.as_bytes(), signed))),
        ("ec", Box::new(|signed| pair.es256(signed))),
        ("ed", Box::new(|signed| pair.eddsa(signed))),
        // The public key's bytes are no secret, in whichever form somebody took them.
        ("pem", Box::new(|signed| hmac_of(ec.as_bytes(), signed))),
        ("point", Box::new(|signed| hmac_of(raw_ec, signed))),
        ("ed-pem", Box::new(|signed| hmac_of(ed.trim_end().as_bytes(), signed))),
        ("ed-point", Box::new(|signed| hmac_of(raw_ed, signed))),
        ("nothing", Box::new(|_| Vec::new())),
    ];
    let mut good = Vec::new();
    for id in ["hs", "ec", "ed", "other", ""] {
        for word in ["HS256", "ES256", "EdDSA", "none", "None", "NONE", "HS512", "RS256", ""] {
            for (way, sign) in &ways {
                let header = format!(r#"{{"alg":"{word}","kid":"{id}"}}"#);
                let text = jwt(&header, &claims, sign);
                match verifier.verified(&presented(&text, PATH, ""), NOON) {
                    Ok(_) => good.push((id, word, *way)),
                    Err(denied) => assert_eq!(denied, Denied::Unknown),
                }
            }
        }
    }
    assert_eq!(good, [("hs", "HS256", "hs"), ("ec", "ES256", "ec"), ("ed", "EdDSA", "ed")]);
    // Of several keys none is meant by who names none.
    let text = jwt(r#"{"alg":"HS256"}"#, &claims, |signed| hmac_of(SECRET.as_bytes(), signed));
    assert_eq!(verifier.verified(&presented(&text, PATH, ""), NOON), Err(Denied::Unknown));
}

#[test]
fn an_envelope_is_opened_by_the_algorithm_of_its_key() {
    let pair = Pair::new();
    let ec = pair.ec_pem();
    let keys = [("k1", Algorithm::Es256, &*ec)];
    let verifier = verifier(section(Kind::Cat), &keys);
    let claims = claims::map(&[(4, (NOON.0 + 10).into())]);
    let said = |text: &str| verifier.verified(&presented(text, PATH, ""), NOON).map(drop);
    assert_eq!(said(&claims::cat(&claims, Algorithm::Es256, &pair)), Ok(()));
    // A MAC that is made with the public key, under the name of that key.
    for secret in [ec.as_bytes(), ec.trim_end().as_bytes(), pair.ec.public_key().as_ref()] {
        let text = claims::mac0(&claims, secret);
        assert_eq!(said(&text), Err(Denied::Unknown));
    }
}

#[test]
fn a_public_key_is_no_secret_and_a_private_one_is_not_taken() {
    let pair = Pair::new();
    let (ec, ed) = (pair.ec_pem(), pair.ed_pem());
    let spki = |pem: &str| {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        URL_SAFE_NO_PAD.encode(STANDARD.decode(body).unwrap())
    };
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                  "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let (hs, es, eddsa) = (Algorithm::HmacSha256, Algorithm::Es256, Algorithm::EdDsa);
    for (algorithm, text, expected) in [
        (hs, &*ec, "is a public or private key, and no secret: everybody could sign with it"),
        (hs, &ed, "is a public or private key, and no secret: everybody could sign with it"),
        (hs, jwk, "is a key of another algorithm, and no secret"),
        (
            hs,
            &format!("base64url:{}", spki(&ec)),
            "is a public key, and no secret: everybody could sign with it",
        ),
        (hs, "short", "is too short: HS256 takes 32 bytes or more (RFC 7518, 3.2)"),
        (
            hs,
            "hex:0",
            "is no secret (write hex:…, base64url:…, text, or a JSON Web Key of kty oct)",
        ),
        (hs, &format!("hex:{}", "00".repeat(32)), "a key"),
        (hs, SECRET, "a key"),
        (es, &ec, "a key"),
        (es, jwk, "a key"),
        (eddsa, &ed, "a key"),
        (es, &ed, "is a key of another algorithm"),
        (eddsa, &ec, "is a key of another algorithm"),
        (eddsa, jwk, "is a key of another algorithm"),
        (es, SECRET, "is no public key (write PEM, or a JSON Web Key)"),
        (
            es,
            "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
            "holds a private key, which the server must not have",
        ),
        (
            es,
            &jwk.replace("\"kty\"", "\"d\":\"AA\",\"kty\""),
            "holds a private key, which the server must not have",
        ),
        (es, &jwk.replace("x_F", "x_G"), "has no key in it"),
        (es, "{}", "is no JSON Web Key"),
    ] {
        assert_eq!(refused(Kind::Jwt, algorithm, text), expected, "{text}");
    }
    assert_eq!(refused(Kind::SecureLink, Algorithm::Md5, ""), "is empty");
    let why = "is no key (write an even number of hexadecimal digits)";
    assert_eq!(refused(Kind::EdgeAuth, hs, "aabbc"), why);
    assert_eq!(refused(Kind::EdgeAuth, hs, "aabb"), "is too short: less than 16 bytes");
}

#[test]
fn the_same_token_is_the_same_session_however_it_is_written() {
    let sample = secure_link();
    let session = |text: &str| sample.with(text).unwrap().session;
    let text = &sample.presented.text;
    assert_eq!(session(text), session(&format!("{text}==")));
    let sample = edge_auth();
    let escaped: String =
        sample.presented.text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let session = |text: &str| sample.with(text).unwrap().session;
    assert_eq!(session(&sample.presented.text), session(&escaped));
    let sessions: std::collections::BTreeSet<_> = samples()
        .iter()
        .map(|sample| sample.with(&sample.presented.text).unwrap().session)
        .collect();
    // Of the two CATs, which say the same one.
    assert_eq!(sessions.len(), 6);
}

#[test]
fn a_token_is_good_where_it_says() {
    for sample in [secure_link(), edge_auth()] {
        let at = |peer: &str| {
            let presented = Presented { peer: peer.parse().ok(), ..sample.presented.clone() };
            sample.verifier.verified(&presented, NOON).map(|verified| verified.network)
        };
        let here = Some("192.0.2.7/32".parse().unwrap());
        assert_eq!(at("192.0.2.7"), Ok(here));
        assert_eq!(at("::ffff:192.0.2.7"), Ok(here));
        assert!(at("192.0.2.8").is_err() && at("nowhere").is_err());
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_verifier_panic(text in "\\PC{0,200}", query in "[a-z=&0-9]{0,60}") {
        for sample in [secure_link(), edge_auth(), jwt_by(Algorithm::HmacSha256),
            cat_by(Algorithm::HmacSha256)]
        {
            let presented = presented(&text, PATH, &query);
            prop_assert_eq!(sample.verifier.verified(&presented, NOON), Err(Denied::Unknown));
        }
    }

    #[test]
    fn no_bytes_make_a_verifier_panic_signed_or_not(bytes: Vec<u8>) {
        crate::viewer::fuzz::foreign(&bytes);
    }

    #[test]
    fn no_bytes_in_an_envelope_make_it_panic(bytes: Vec<u8>) {
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        let cat = cat_by(Algorithm::HmacSha256);
        prop_assert_eq!(cat.with(&text), Err(Denied::Unknown));
        let parts = format!("{text}.{text}.{text}");
        prop_assert_eq!(jwt_by(Algorithm::HmacSha256).with(&parts), Err(Denied::Unknown));
    }
}
