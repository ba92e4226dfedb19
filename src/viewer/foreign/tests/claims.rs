//! What claims are worth, one by one, of tokens that are signed.

use ciborium::Value as Cbor;
use coset::{CborSerializable as _, CoseMac0Builder, CoseSign1Builder, HeaderBuilder, iana};

use super::*;

const END: u64 = NOON.0 + 10;

pub(super) fn map(claims: &[(i64, Cbor)]) -> Vec<u8> {
    let claims = claims.iter().map(|(key, value)| (Cbor::from(*key), value.clone())).collect();
    bytes(&Cbor::Map(claims))
}

fn bytes(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

pub(super) fn mac0(claims: &[u8], secret: &[u8]) -> String {
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::HMAC_256_256).build();
    let unprotected = HeaderBuilder::new().key_id(b"k1".to_vec()).build();
    let envelope = CoseMac0Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(claims.to_vec())
        .create_tag(b"", |signed| hmac_of(secret, signed))
        .build();
    URL_SAFE_NO_PAD.encode([&[0xd8, 61, 0xd1], &envelope.to_vec().unwrap()[..]].concat())
}

pub(super) fn cat(claims: &[u8], algorithm: Algorithm, pair: &Pair) -> String {
    if algorithm != Algorithm::Es256 {
        return mac0(claims, SECRET.as_bytes());
    }
    let protected =
        HeaderBuilder::new().algorithm(iana::Algorithm::ES256).key_id(b"k1".to_vec()).build();
    let envelope = CoseSign1Builder::new()
        .protected(protected)
        .payload(claims.to_vec())
        .create_signature(b"", |signed| pair.es256(signed))
        .build();
    URL_SAFE_NO_PAD.encode([&[0xd8, 61, 0xd2], &envelope.to_vec().unwrap()[..]].concat())
}

fn cats(ours: Section) -> Verifier {
    verifier(ours, &[("k1", Algorithm::HmacSha256, SECRET)])
}

/// What a token is good for that says this and that it ends, as text.
fn said(ours: &Section, path: &str, claims: &[(i64, Cbor)]) -> String {
    let claims = map(&[claims, &[(4, END.into())]].concat());
    let presented = presented(&mac0(&claims, SECRET.as_bytes()), path, "");
    match cats(ours.clone()).verified(&presented, NOON) {
        Ok(verified) => {
            let network = verified.network.map(|network| format!(" {network}"));
            format!("{}{}", verified.scope.join(" "), network.unwrap_or_default())
        }
        Err(denied) => format!("{denied:?}"),
    }
}

#[track_caller]
fn check(claims: &[(i64, Cbor)], expected: &str) {
    assert_eq!(said(&section(Kind::Cat), "/vod/a/index.m3u8", claims), expected, "{claims:?}");
}

fn text(text: &str) -> Cbor {
    Cbor::from(text)
}

fn rules(rules: &[(i64, i64, Cbor)]) -> Cbor {
    let rule = |(part, kind, value): &(i64, i64, Cbor)| {
        ((*part).into(), Cbor::Map(vec![((*kind).into(), value.clone())]))
    };
    Cbor::Map(rules.iter().map(rule).collect())
}

#[test]
fn claims_of_a_common_access_token_that_are_not_kept_make_it_unfit() {
    check(&[], "");
    check(&[(310, 1.into())], "");
    check(&[(310, 2.into())], "Unfit");
    check(&[(308, 0.into())], "");
    check(&[(308, 2.into())], "");
    // To be used only once.
    check(&[(308, 1.into())], "Unfit");
    check(&[(313, Cbor::Array(vec![text("HEAD"), text("GET")]))], "");
    check(&[(313, Cbor::Array(vec![text("POST")]))], "OutOfScope");
    check(&[(313, text("GET"))], "Unfit");
    check(&[(323, Cbor::Map(Vec::new())), (322, Cbor::Map(Vec::new()))], "");
    for number in [0, 8, 9, 282, 309, 314, 315, 316, 317, 318, 319, 321, 324, 325, -1, -65536] {
        check(&[(number, 1.into())], "Unfit");
    }
    check(&[(-65537, 1.into())], "");
    check(&[(5, (NOON.0 + 1).into())], "Early");
    check(&[(6, (NOON.0 + 1).into())], "Early");
    check(&[(5, Cbor::Float(NOON.0 as f64 + 0.5))], "Early");
    check(&[(5, Cbor::Float(f64::NAN))], "Unfit");
    check(&[(5, (-1).into())], "Unfit");
    check(&[(5, text("1"))], "Unfit");
    check(&[(3, text("tv"))], "Unfit");
    check(&[(7, text("session"))], "Unfit");
    check(&[(4, END.into())], "Unfit");
    let audience = Section { audience: Some("tv".to_owned()), ..section(Kind::Cat) };
    for (value, expected) in [
        (text("tv"), ""),
        (Cbor::Array(vec![text("a"), text("tv")]), ""),
        (text("radio"), "Unfit"),
        (Cbor::Array(Vec::new()), "Unfit"),
        (1.into(), "Unfit"),
    ] {
        assert_eq!(said(&audience, PATH, &[(3, value)]), expected);
    }
    assert_eq!(said(&audience, PATH, &[]), "Unfit");
}

#[test]
fn claims_with_names_are_the_operators_own_and_no_end_is_none() {
    let with_name = Cbor::Map(vec![(text("shop"), 1.into()), (4.into(), END.into())]);
    for (payload, expected) in [
        (bytes(&with_name), Ok(())),
        (map(&[(1, text("shop"))]), Err(Denied::Unfit)),
        (map(&[(4, Cbor::Null)]), Err(Denied::Unfit)),
        (bytes(&Cbor::Map(vec![(Cbor::Null, 1.into())])), Err(Denied::Unfit)),
        (bytes(&Cbor::Array(Vec::new())), Err(Denied::Unfit)),
        ([map(&[(4, END.into())]), vec![0]].concat(), Err(Denied::Unfit)),
        (Vec::new(), Err(Denied::Unfit)),
    ] {
        let presented = presented(&mac0(&payload, SECRET.as_bytes()), PATH, "");
        let found = cats(section(Kind::Cat)).verified(&presented, NOON).map(drop);
        assert_eq!(found, expected, "{payload:?}");
    }
}

#[test]
fn rules_for_addresses_become_patterns_that_hold_no_more() {
    let check =
        |given: &[(i64, i64, Cbor)], expected: &str| check(&[(312, rules(given))], expected);
    check(&[], "");
    check(&[(3, 0, text("/vod/a/index.m3u8"))], "/vod/a/index.m3u8");
    check(&[(3, 1, text("/vod/a/"))], "/vod/a/*");
    check(&[(3, 1, text("/vod/b/"))], "OutOfScope");
    check(&[(3, 2, text(".m3u8"))], "*.m3u8");
    check(&[(3, 3, text("/a/"))], "*/a/*");
    check(&[(3, 4, text("^/vod/"))], "Unfit");
    let hash = Sha256::digest("/vod/a/index.m3u8").to_vec();
    check(&[(3, -1, Cbor::Bytes(hash.clone()))], "/vod/a/index.m3u8");
    check(&[(3, -2, Cbor::Bytes(hash.clone()))], "OutOfScope");
    check(&[(3, -1, Cbor::Bytes(hash[1..].to_vec()))], "OutOfScope");
    let hash = <sha2::Sha512_256 as sha2::Digest>::digest("/vod/a/index.m3u8").to_vec();
    check(&[(3, -2, Cbor::Bytes(hash))], "/vod/a/index.m3u8");
    check(&[(5, 1, text("/vod/a"))], "/vod/a*/*");
    check(&[(5, 0, text("/vod/a"))], "/vod/a/index.m3u8");
    check(&[(6, 0, text("index.m3u8"))], "*/index.m3u8");
    check(&[(6, 2, text("x.m3u8"))], "*x.m3u8");
    check(&[(6, 1, text("ind"))], "/vod/a/index.m3u8");
    check(&[(7, 0, text("index"))], "/vod/a/index.m3u8");
    check(&[(8, 0, text(".m3u8"))], "*.m3u8");
    check(&[(8, 0, text("m3u8"))], "*.m3u8");
    check(&[(8, 0, text("mpd"))], "OutOfScope");
    check(&[(8, 2, text("u8"))], "/vod/a/index.m3u8");
    check(&[(3, 1, text("/vod/")), (8, 0, text("m3u8"))], "/vod/*.m3u8");
    // Where they overlap nothing says both.
    check(&[(3, 1, text("/vod/a/index.m3")), (3, 2, text("x.m3u8"))], "Unfit");
    check(&[(3, 1, text("/vod/a/index.m3")), (6, 2, text("x.m3u8"))], "/vod/a/index.m3u8");
    // The host and its port are those of this request; nobody knows the scheme, or keeps queries.
    check(&[(1, 0, text("tv.example")), (2, 0, text("8080"))], "");
    check(&[(1, 0, text("radio.example"))], "OutOfScope");
    check(&[(0, 0, text("https"))], "Unfit");
    check(&[(4, 0, text("a=b"))], "Unfit");
    check(&[(9, 0, text(""))], "Unfit");
    check(&[(3, 5, text("/"))], "Unfit");
    check(&[(3, 1, 7.into())], "Unfit");
    let tls = Section { scheme: Some("https".to_owned()), ..section(Kind::Cat) };
    for (scheme, expected) in [("https", ""), ("http", "OutOfScope")] {
        let claims = [(312, rules(&[(0, 0, text(scheme))]))];
        assert_eq!(said(&tls, PATH, &claims), expected);
    }
    // What looks like a pattern is text.
    check(&[(3, 1, text("/vod/*"))], "OutOfScope");
    let odd = said(&section(Kind::Cat), "/vod/*/1.ts", &[(312, rules(&[(3, 1, text("/vod/*"))]))]);
    assert_eq!(odd, "Unfit");
}

#[test]
fn of_several_networks_the_one_that_is_asked_from_counts() {
    let v4 = |bytes: &[u8]| Cbor::Tag(52, Box::new(Cbor::Bytes(bytes.to_vec())));
    let prefix = |tag, size: u8, bytes: &[u8]| {
        let parts = vec![size.into(), Cbor::Bytes(bytes.to_vec())];
        Cbor::Tag(tag, Box::new(Cbor::Array(parts)))
    };
    let check = |entries: &[Cbor], expected: &str| {
        check(&[(311, Cbor::Array(entries.to_vec()))], expected);
    };
    check(&[v4(&[192, 0, 2, 7])], " 192.0.2.7/32");
    check(&[v4(&[192, 0, 2, 8])], "Elsewhere");
    check(&[prefix(54, 32, &[0x20, 1, 0xd, 0xb8]), prefix(52, 24, &[192, 0, 2])], " 192.0.2.0/24");
    check(&[prefix(52, 24, &[192, 0, 3])], "Elsewhere");
    check(&[prefix(52, 0, &[])], " 0.0.0.0/0");
    // A number of a network's operator can't be looked up.
    check(&[64500.into()], "Unfit");
    check(&[64500.into(), v4(&[192, 0, 2, 7])], " 192.0.2.7/32");
    for odd in [
        v4(&[192, 0, 2]),
        prefix(52, 33, &[192]),
        prefix(52, 24, &[192, 0, 2, 0, 1]),
        prefix(54, 129, &[]),
        prefix(54, 8, &[0; 17]),
        text("192.0.2.7"),
        Cbor::Tag(52, Box::new(text("192.0.2.7"))),
        Cbor::Tag(53, Box::new(Cbor::Bytes(vec![192, 0, 2, 7]))),
    ] {
        check(&[odd], "Unfit");
    }
    check(&[], "Elsewhere");
}

#[test]
fn what_goes_too_deep_or_on_too_long_is_not_read() {
    let mut deep = Cbor::Null;
    for _ in 0..1000 {
        deep = Cbor::Array(vec![deep]);
    }
    let nested = URL_SAFE_NO_PAD.encode([&[0x81; 3000][..], &[0xf6]].concat());
    let protected = [&[0x84, 0x59, 0x0b, 0xb9][..], &[0x81; 3000], &[0xf6, 0xa0, 0x40, 0x40]];
    let protected = URL_SAFE_NO_PAD.encode(protected.concat());
    let cat = cats(section(Kind::Cat));
    for text in [nested, protected, mac0(&map(&[(310, deep)]), SECRET.as_bytes())] {
        let found = cat.verified(&presented(&text, PATH, ""), NOON).map(drop);
        assert!(matches!(found, Err(Denied::Unknown | Denied::Unfit)), "{found:?}");
    }
    let many: Vec<_> = (0..65).map(|at| (-65537 - at, Cbor::Null)).collect();
    assert_eq!(said(&section(Kind::Cat), PATH, &many), "Unfit");
    let many: Vec<_> = (0..65).map(|_| 1.into()).collect();
    check(&[(311, Cbor::Array(many))], "Unfit");
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(of_json(&section(Kind::Jwt), &format!(r#"{{"exp":{END},"a":{deep}}}"#)), "Unfit");
}

/// What a JSON Web Token is good for that says this, as text.
fn of_json(ours: &Section, claims: &str) -> String {
    let text = jwt(r#"{"alg":"HS256"}"#, claims, |signed| hmac_of(SECRET.as_bytes(), signed));
    let verifier = verifier(ours.clone(), &[("", Algorithm::HmacSha256, SECRET)]);
    match verifier.verified(&presented(&text, PATH, ""), NOON) {
        Ok(verified) => {
            let subject = verified.subject.map(|subject| format!("{subject} ")).unwrap_or_default();
            format!("{subject}{}", verified.scope.join(" "))
        }
        Err(denied) => format!("{denied:?}"),
    }
}

#[test]
fn claims_of_a_json_web_token_are_those_that_the_config_names() {
    let ours = Section {
        subject: Some("user".to_owned()),
        scope: Some("paths".to_owned()),
        issuer: Some("shop".to_owned()),
        audience: Some("tv".to_owned()),
        ..section(Kind::Jwt)
    };
    let good = format!(
        r#"{{"iss":"shop","aud":"tv","exp":{END},"user":"anna","paths":["/vod/a/*","/tv/*"]}}"#
    );
    let with = |from: &str, to: &str| of_json(&ours, &good.replace(from, to));
    assert_eq!(with("", ""), "anna /vod/a/* /tv/*");
    assert_eq!(with("\"anna\"", "42"), "42 /vod/a/* /tv/*");
    assert_eq!(with(r#""tv""#, r#"["radio","tv"]"#), "anna /vod/a/* /tv/*");
    assert_eq!(with(r#"["/vod/a/*","/tv/*"]"#, r#""/vod/*""#), "anna /vod/*");
    assert_eq!(with("/vod/a/", "/vod/b/"), "OutOfScope");
    let fraction = format!("{END}.9");
    assert_eq!(with(&END.to_string(), &fraction), "anna /vod/a/* /tv/*");
    for (from, to) in [
        (r#""iss":"shop","#, ""),
        ("shop", "other"),
        (r#""aud":"tv","#, ""),
        (r#""tv""#, r#""radio""#),
        (r#""tv""#, "[]"),
        (r#""user":"anna","#, ""),
        (r#""anna""#, r#""""#),
        (r#""anna""#, "null"),
        (r#""anna""#, "1.5"),
        (r#"["/vod/a/*","/tv/*"]"#, "[1]"),
        (r#"["/vod/a/*","/tv/*"]"#, "null"),
        (&format!(r#""exp":{END},"#), ""),
        (&END.to_string(), "\"soon\""),
        (&END.to_string(), "-1"),
        (&END.to_string(), "1e300"),
        // Two that read it could see two things.
        (r#""user":"anna","#, r#""user":"anna","user":"bela","#),
        (r#""user":"anna","#, r#""user":"anna","exp":9999999999,"#),
    ] {
        assert_eq!(with(from, to), "Unfit", "{from} {to}");
    }
    assert_eq!(with(&END.to_string(), &NOON.0.to_string()), "Expired");
    assert_eq!(with("{", &format!(r#"{{"nbf":{}.1,"#, NOON.0)), "Early");
    assert_eq!(with("{", &format!(r#"{{"iat":{},"#, NOON.0 + 1)), "Early");
    assert_eq!(of_json(&section(Kind::Jwt), &format!(r#"{{"exp":{END}}}"#)), "");
    let audience = format!(r#"{{"exp":{END},"aud":"tv"}}"#);
    assert_eq!(of_json(&section(Kind::Jwt), &audience), "Unfit", "RFC 7519, 4.1.3");
    for claims in ["[]", "1", "{", ""] {
        assert_eq!(of_json(&section(Kind::Jwt), claims), "Unfit", "{claims}");
    }
}

#[test]
fn what_a_header_calls_critical_is_not_understood() {
    let claims = format!(r#"{{"exp":{END}}}"#);
    let verifier = verifier(section(Kind::Jwt), &[("k1", Algorithm::HmacSha256, SECRET)]);
    for (header, expected) in [
        (r#"{"alg":"HS256","kid":"k1","jku":"http://evil.example/","jwk":{}}"#, Ok(())),
        (r#"{"alg":"HS256"}"#, Ok(())),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Err(Denied::Unfit)),
        (r#"{"alg":"HS256","kid":"k2"}"#, Err(Denied::Unknown)),
        (r#"{"alg":"HS256","alg":"HS256"}"#, Err(Denied::Unknown)),
        (r#"{"alg":["HS256"]}"#, Err(Denied::Unknown)),
        (r#"{"kid":"k1"}"#, Err(Denied::Unknown)),
        ("[]", Err(Denied::Unknown)),
    ] {
        let text = jwt(header, &claims, |signed| hmac_of(SECRET.as_bytes(), signed));
        let found = verifier.verified(&presented(&text, PATH, ""), NOON).map(drop);
        assert_eq!(found, expected, "{header}");
    }
    let payload = map(&[(4, END.into())]);
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::HMAC_256_256);
    let protected = protected.add_critical(iana::HeaderParameter::Alg).build();
    let envelope = CoseMac0Builder::new()
        .protected(protected)
        .payload(payload)
        .create_tag(b"", |signed| hmac_of(SECRET.as_bytes(), signed))
        .build();
    // Without its tags it is what its key says (RFC 8392, 6).
    let text = URL_SAFE_NO_PAD.encode(envelope.to_vec().unwrap());
    let found = cats(section(Kind::Cat)).verified(&presented(&text, PATH, ""), NOON);
    assert_eq!(found, Err(Denied::Unfit));
}
