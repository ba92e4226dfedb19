//! Tokens as norms and other people's tools make them.

use super::*;

#[track_caller]
fn check(verifier: &Verifier, presented: &Presented, now: u64, expected: Result<(), Denied>) {
    let said = verifier.verified(presented, UnixTime(now)).map(drop);
    assert_eq!(said, expected, "{} {}", presented.text, presented.path);
}

#[test]
fn secure_link_of_nginx() {
    let expression = vec![Piece::Secret, Piece::Uri];
    let section = Section { expression, expires: None, ..section(Kind::SecureLink) };
    let verifier = verifier(section, &[("", Algorithm::Md5, "secret")]);
    let said = |text: &str, path: &str| {
        verifier.verified(&presented(text, path, ""), NOON).map(|verified| verified.scope)
    };
    let only = Ok(vec!["/test.html".to_owned()]);
    assert_eq!(said("q-5vpkjBkRXXtkUMXiJVHA", "/test.html"), only);
    assert_eq!(said("q-5vpkjBkRXXtkUMXiJVHA==", "/test.html"), only);
    for (text, path) in [
        ("q-5vpkjBkRXXtkUMXiJVHA=", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJVHA===", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJVHB", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJVHAA", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJVHAAA", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJV", "/test.html"),
        ("q+5vpkjBkRXXtkUMXiJVHA", "/test.html"),
        ("", "/test.html"),
        ("q-5vpkjBkRXXtkUMXiJVHA", "/test.htm"),
    ] {
        assert_eq!(said(text, path), Err(Denied::Unknown), "{text} {path}");
    }
}

#[test]
fn secure_link_with_a_time() {
    let expression = vec![Piece::Secret, Piece::Uri, Piece::Argument("expires".to_owned())];
    let section = Section { expression, ..section(Kind::SecureLink) };
    let verifier = verifier(section, &[("", Algorithm::Md5, "secret")]);
    let at = |written: &str, query: &str, now: u64| {
        let hash = <md5::Md5 as md5::Digest>::digest(format!("secret/a{written}"));
        let presented = presented(&URL_SAFE_NO_PAD.encode(hash), "/a", query);
        verifier.verified(&presented, UnixTime(now)).map(|verified| verified.expires)
    };
    let ends = Ok(Some(UnixTime(2001)));
    assert_eq!(at("2000", "md5=x&expires=2000", 2000), ends, "as nginx has it");
    assert_eq!(at("2000", "md5=x&expires=2000", 2001), Err(Denied::Expired));
    // The hash is looked at first.
    assert_eq!(at("2000", "expires=1999", 9999), Err(Denied::Unknown));
    for written in ["", "0", "-1", "+5", "5s", "0x5", " 5", "99999999999999999999"] {
        assert_eq!(
            at(written, &format!("expires={written}"), 1),
            Err(Denied::Unknown),
            "{written}"
        );
    }
    assert_eq!(at("", "", 1), Err(Denied::Unknown), "without a time there is none");
}

#[test]
fn secure_link_in_the_path() {
    let section = Section { path: "/p/".to_owned(), ..section(Kind::SecureLinkSecret) };
    let folder = Section { covers_folder: true, ..section.clone() };
    let keys = [("", Algorithm::Md5, "secret")];
    let hash = <md5::Md5 as md5::Digest>::digest("a/1.tssecret");
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = |section: &Section, text: &str, path: &str| {
        let verifier = verifier(section.clone(), &keys);
        verifier.verified(&presented(text, path, ""), NOON).map(|verified| verified.scope)
    };
    assert_eq!(said(&section, &hash, "/p/a/1.ts"), Ok(vec!["/p/a/1.ts".to_owned()]));
    assert_eq!(said(&folder, &hash, "/p/a/1.ts"), Ok(vec!["/p/a/*".to_owned()]));
    let top = <md5::Md5 as md5::Digest>::digest("1.tssecret");
    let top: String = top.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(said(&folder, &top, "/p/1.ts"), Ok(vec!["/p/1.ts".to_owned()]));
    let upper = hash.to_ascii_uppercase();
    assert!(said(&section, &upper, "/p/a/1.ts").is_ok(), "nginx reads both");
    for (text, path) in [(&hash[..], "/p/a/2.ts"), (&hash[1..], "/p/a/1.ts"), (&hash, "/q/a/1.ts")]
    {
        assert_eq!(said(&section, text, path), Err(Denied::Unknown), "{text} {path}");
    }
}

#[test]
fn edge_auth_of_akamai() {
    let keys = [("", Algorithm::HmacSha256, "aabbccddeeff00112233445566778899")];
    let ours = Section { session: Some("id".to_owned()), ..section(Kind::EdgeAuth) };
    let verifier = verifier(ours, &keys);
    let text = "ip=10.0.0.1~st=1700000000~exp=1900000000~acl=/live/ch1/*!/live/ch2/*~id=sess-1\
                ~data=p1~hmac=72d4eeb8d7112ec6680673cae1dd2efb940f3e0231b3db0f31064db3052f2500";
    let from = |path: &str, peer: &str| Presented {
        peer: Some(peer.parse().unwrap()),
        ..presented(text, path, "")
    };
    let good = from("/live/ch1/a.m3u8", "10.0.0.1");
    check(&verifier, &good, 1_700_000_000, Ok(()));
    check(&verifier, &good, 1_699_999_999, Err(Denied::Early));
    check(&verifier, &good, 1_899_999_999, Ok(()));
    check(&verifier, &good, 1_900_000_000, Err(Denied::Expired));
    check(&verifier, &from("/live/ch2/a.m3u8", "10.0.0.1"), NOON.0, Ok(()));
    check(&verifier, &from("/live/ch3/a.m3u8", "10.0.0.1"), NOON.0, Err(Denied::OutOfScope));
    check(&verifier, &from("/live/ch1/a.m3u8", "10.0.0.2"), NOON.0, Err(Denied::Elsewhere));
    let said = verifier.verified(&good, NOON).unwrap();
    assert_eq!(said.scope, ["/live/ch1/*", "/live/ch2/*"]);
    assert_eq!(said.network, Some("10.0.0.1/32".parse().unwrap()));
    let upper = presented(&text.replace("72d4ee", "72D4EE"), "/live/ch1/a.m3u8", "");
    check(&verifier, &upper, NOON.0, Err(Denied::Unknown));
}

/// The fields as EdgeAuth's own tool joins them; see `SHA1` for how far another one agrees.
#[test]
fn edge_auth_for_one_path_with_salt_and_escapes() {
    let end = NOON.0 + 10;
    let key = "aabbccddeeff00112233445566778899";
    let made = |fields: &str, hidden: &str| {
        let hmac = hmac_of(&key::of_hex(key).unwrap(), format!("{fields}{hidden}").as_bytes());
        let hmac: String = hmac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{fields}~hmac={hmac}")
    };
    let config = |escapes| Section {
        escapes,
        subject: Some("data".to_owned()),
        keys: vec![foreign::Key {
            id: String::new(),
            algorithm: Algorithm::HmacSha256,
            file: "k".into(),
        }],
        ..section(Kind::EdgeAuth)
    };
    let new =
        |escapes, salt| Verifier::new(config(escapes), &[key.as_bytes().to_vec()], salt).unwrap();
    let path = "/vod/a b/1.ts";
    let plain = made(&format!("exp={end}~data=anna"), &format!("~url={path}"));
    let verifier = new(false, None);
    check(&verifier, &presented(&plain, path, ""), NOON.0, Ok(()));
    check(&verifier, &presented(&plain, "/vod/a/1.ts", ""), NOON.0, Err(Denied::Unknown));
    let said = verifier.verified(&presented(&plain, path, ""), NOON).unwrap();
    assert_eq!((said.subject.as_deref(), &*said.scope[0]), (Some("anna"), path));
    let salted = made(&format!("exp={end}~data=anna"), &format!("~url={path}~salt=pepper"));
    check(&verifier, &presented(&salted, path, ""), NOON.0, Err(Denied::Unknown));
    check(&new(false, Some(b"pepper\n")), &presented(&salted, path, ""), NOON.0, Ok(()));
    let openssl = format!("exp=1900000000~data=anna~hmac={SALTED}");
    check(&new(false, Some(b"pepper")), &presented(&openssl, path, ""), NOON.0, Ok(()));
    let escaped = made(&format!("exp={end}~data=anna%2fb+c"), "~url=%2fvod%2fa+b%2f1.ts");
    let said = new(true, None).verified(&presented(&escaped, path, ""), NOON).unwrap();
    assert_eq!(said.subject.as_deref(), Some("anna/b c"));
    // Who names nobody is nobody of the registry, where the config says that there is somebody.
    let nobody = made(&format!("exp={end}"), &format!("~url={path}"));
    check(&verifier, &presented(&nobody, path, ""), NOON.0, Err(Denied::Unfit));
}

#[test]
fn edge_auth_with_the_older_hashes() {
    let key = "aabbccddeeff00112233445566778899";
    for (algorithm, hmac) in [(Algorithm::HmacSha1, SHA1), (Algorithm::HmacMd5, MD5)] {
        let verifier = verifier(section(Kind::EdgeAuth), &[("", algorithm, key)]);
        let text = format!("exp=1900000000~acl=/*~hmac={hmac}");
        check(&verifier, &presented(&text, "/vod/a", ""), NOON.0, Ok(()));
        let other = text.replace("acl=/*", "acl=/?");
        check(&verifier, &presented(&other, "/vod/a", ""), NOON.0, Err(Denied::Unknown));
    }
}

/// What `openssl dgst -mac HMAC -macopt hexkey:…` says of `exp=1900000000~acl=/*`.
const SHA1: &str = "5fbb8871991a81b2f2801d967c093f5662fcbf1e";
/// And of `exp=1900000000~data=anna~url=/vod/a b/1.ts~salt=pepper`, with SHA-256.
const SALTED: &str = "526ecf58d5787676ab3c4544acdd70f8648465329a4ca94183108c469e3cc89a";
const MD5: &str = "0323ab643c89fa5f42d21f94cfa494e9";

const CAT: &str = "2D3RhEOhAQWhBExTeW1tZXRyaWMyNTZYUaoBZm9yaWdpbgJidTEEGnE_swAFGmVT8QAHQgtxGQE0Ahk\
                   BOKEDoQFqL2xpdmUvY2gxLxkBOYJjR0VUZEhFQUQZAUOjAAABGQEsAhg8GQE2AVggmUlJDknKVvYnA\
                   w28qRiyK7ZxuqOMBkLuwt07hnMHzJk";

#[test]
fn a_common_access_token() {
    let key = "hex:403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388";
    let keys = [("Symmetric256", Algorithm::HmacSha256, key)];
    let ours = Section {
        subject: Some("sub".to_owned()),
        issuer: Some("origin".to_owned()),
        ..section(Kind::Cat)
    };
    let good = presented(CAT, "/live/ch1/a.m3u8", "");
    let with = |section: &Section| verifier(section.clone(), &keys);
    check(&with(&ours), &good, 1_700_000_000, Ok(()));
    check(&with(&ours), &good, 1_699_999_999, Err(Denied::Early));
    check(&with(&ours), &good, 1_899_999_999, Ok(()));
    check(&with(&ours), &good, 1_900_000_000, Err(Denied::Expired));
    let other = presented(CAT, "/live/ch2/a.m3u8", "");
    check(&with(&ours), &other, NOON.0, Err(Denied::OutOfScope));
    let said = with(&ours).verified(&good, NOON).unwrap();
    assert_eq!(
        (said.subject.as_deref(), &said.scope[..]),
        (Some("u1"), &["/live/ch1/*".to_owned()][..])
    );
    let issuer = Section { issuer: Some("else".to_owned()), ..ours.clone() };
    check(&with(&issuer), &good, NOON.0, Err(Denied::Unfit));
    let audience = Section { audience: Some("tv".to_owned()), ..ours.clone() };
    check(&with(&audience), &good, NOON.0, Err(Denied::Unfit));
    let named = [("Symmetric255", Algorithm::HmacSha256, key)];
    check(&verifier(ours, &named), &good, NOON.0, Err(Denied::Unknown));
}

const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p\
                      c19yb290Ijp0cnVlfQ";

/// RFC 7515, A.1, A.2, A.3 and A.5.
#[test]
fn json_web_signatures_of_rfc_7515() {
    let hs = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let es = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let a1 = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.\
         dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let a3 = format!(
        "eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8\
         ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let a5 = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    let end = 1_300_819_380;
    let ours = Section { issuer: Some("joe".to_owned()), ..section(Kind::Jwt) };
    for (good, other, key) in
        [(&a1, &a3, ("", Algorithm::HmacSha256, hs)), (&a3, &a1, ("", Algorithm::Es256, es))]
    {
        let verifier = verifier(ours.clone(), &[key]);
        check(&verifier, &presented(good, "/vod/a", ""), end - 1, Ok(()));
        check(&verifier, &presented(good, "/vod/a", ""), end, Err(Denied::Expired));
        check(&verifier, &presented(other, "/vod/a", ""), end - 1, Err(Denied::Unknown));
        check(&verifier, &presented(&a5, "/vod/a", ""), end - 1, Err(Denied::Unknown));
        let rs256 = format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.AAAA");
        check(&verifier, &presented(&rs256, "/vod/a", ""), end - 1, Err(Denied::Unknown));
    }
}

/// RFC 8037, A.4 and A.5: what is signed there are no claims.
#[test]
fn json_web_signatures_of_rfc_8037() {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let verifier = verifier(section(Kind::Jwt), &[("", Algorithm::EdDsa, key)]);
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPO\
                t7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    check(&verifier, &presented(text, "/vod/a", ""), NOON.0, Err(Denied::Unfit));
    let other = text.replace("RXhh", "RXhi");
    check(&verifier, &presented(&other, "/vod/a", ""), NOON.0, Err(Denied::Unknown));
}
