//! Answers about signing in, and what a request's head says: hosts, origins, cookies.
//!
//! Pure text.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::Rules;
use super::backoff::Wait;
use crate::control::problem::{problem, problem_with};

/// Name of the cookie over TLS: `__Host-` binds it to this host, to TLS and to every path
/// (RFC 6265bis, 4.1.3.2).
const COOKIE_TLS: &str = "__Host-shardcast";
/// The same without TLS, where that prefix is not taken.
const COOKIE: &str = "shardcast";

/// What a session's cookie is called.
pub fn cookie_name(is_tls: bool) -> &'static str {
    if is_tls { COOKIE_TLS } else { COOKIE }
}

/// `Set-Cookie` that begins a session, or ends one where there is no id.
pub fn cookie(rules: &Rules, id: Option<&str>) -> HeaderValue {
    let name = cookie_name(rules.is_tls);
    let secure = if rules.is_tls { "; Secure" } else { "" };
    let end = if id.is_none() { "; Max-Age=0" } else { "" };
    let id = id.unwrap_or_default();
    let text = format!("{name}={id}; HttpOnly; SameSite=Strict; Path=/{secure}{end}");
    HeaderValue::from_str(&text).expect("ids are base64, and the rest is ours")
}

/// The session's id in a request, if there is exactly one.
pub fn session_id<'h>(rules: &Rules, headers: &'h HeaderMap) -> Option<&'h str> {
    let mut found = None;
    for line in headers.get_all(header::COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            if name == cookie_name(rules.is_tls) && found.replace(value).is_some() {
                // Somebody else has put one beside it.
                return None;
            }
        }
    }
    found
}

/// Whether the name by which the port was called is one of its own. A page of somebody else's
/// whose name leads here (DNS rebinding) calls it by that; an address can't be taken over so.
pub fn is_host_known(rules: &Rules, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = without_port(host);
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    inner.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || rules.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// Whether a request may come of a page of another origin: browsers say so, and others say nothing.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (authority, host) {
        (Some((_, authority)), Some(host)) => !authority.eq_ignore_ascii_case(host),
        _ => true,
    }
}

/// Whether whoever is at this address may send a password or a key: what comes from elsewhere is
/// read by whoever is on the way, unless it is encrypted.
pub fn may_be_read(rules: &Rules, address: IpAddr) -> bool {
    !rules.is_tls && !rules.is_plaintext_trusted && !address.to_canonical().is_loopback()
}

/// 401, with how to do better.
pub fn unknown(detail: &str) -> Response<Body> {
    challenged(problem(StatusCode::UNAUTHORIZED, detail))
}

/// The password was right, and a code is wanted.
pub fn code_wanted() -> Response<Body> {
    let detail = "a code of the second factor is wanted, or a recovery code: \"code\"";
    let extra = json!({ "code_required": true });
    challenged(problem_with(StatusCode::UNAUTHORIZED, detail, &extra))
}

/// 401 has to say how one signs in (RFC 9110, 15.5.2): as a program, by a key.
fn challenged(mut response: Response<Body>) -> Response<Body> {
    let how = HeaderValue::from_static("Bearer realm=\"shardcast\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    response
}

/// 429, with when to try again.
pub fn wait(Wait(ms): Wait) -> Response<Body> {
    let seconds = ms.div_ceil(1_000).max(1);
    let why = format!("this failed too often from here: wait {seconds} s");
    let mut response = problem(StatusCode::TOO_MANY_REQUESTS, &why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// 503: too many sign in at once.
pub fn full() -> Response<Body> {
    let why = "too many sign in at this moment: try again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn rules(is_tls: bool) -> Rules {
        Rules { hosts: vec!["tv.example.org".to_owned()], is_tls, ..Rules::default() }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_no_script_reads_it() {
        let text = |is_tls, id| cookie(&rules(is_tls), id).to_str().unwrap().to_owned();
        assert_eq!(
            text(true, Some("abc")),
            "__Host-shardcast=abc; HttpOnly; SameSite=Strict; Path=/; Secure"
        );
        assert_eq!(text(false, Some("abc")), "shardcast=abc; HttpOnly; SameSite=Strict; Path=/");
        assert_eq!(text(false, None), "shardcast=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    }

    #[test]
    fn the_session_is_found_among_other_cookies_if_it_is_there_once() {
        let found = |is_tls, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            session_id(&rules(is_tls), &head(&lines)).map(str::to_owned)
        };
        assert_eq!(found(false, &["a=b; shardcast=x=y; c"]), Some("x=y".to_owned()));
        assert_eq!(found(false, &["a=b", "shardcast=x"]), Some("x".to_owned()));
        assert_eq!(found(false, &["shardcast=x; shardcast=y"]), None);
        assert_eq!(found(false, &["__Host-shardcast=x"]), None);
        assert_eq!(found(true, &["shardcast=x; __Host-shardcast=y"]), Some("y".to_owned()));
        assert_eq!(found(true, &["xshardcast=x", "shardcast=y"]), None);
    }

    #[test]
    fn only_names_of_its_own_are_answered() {
        for (host, is_known) in [
            ("localhost", true),
            ("LOCALHOST:8081", true),
            ("127.0.0.1:8081", true),
            ("192.0.2.7", true),
            ("[::1]:8081", true),
            ("[2001:db8::1]", true),
            ("tv.example.org", true),
            ("TV.example.org:443", true),
            ("evil.example.org", false),
            ("tv.example.org.evil.example", false),
            ("127.0.0.1.evil.example:8081", false),
            ("localhost.", false),
            ("", false),
            (":8081", false),
            ("[::1", false),
            ("::1:x", false),
        ] {
            assert_eq!(is_host_known(&rules(false), &head(&[("host", host)])), is_known, "{host}");
        }
        assert!(!is_host_known(&rules(false), &head(&[])));
        let twice = head(&[("host", "localhost"), ("host", "localhost")]);
        assert!(!is_host_known(&rules(false), &twice));
    }

    #[test]
    fn what_comes_of_another_origin_is_seen() {
        let host = ("host", "localhost:8081");
        for (lines, is_seen) in [
            (&[][..], false),
            (&[("origin", "http://localhost:8081")], false),
            (&[("origin", "https://LOCALHOST:8081")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8081")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "http://localhost")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], true),
        ] {
            let lines: Vec<_> = std::iter::once(host).chain(lines.iter().copied()).collect();
            assert_eq!(is_foreign(&head(&lines)), is_seen, "{lines:?}");
        }
    }

    #[test]
    fn without_tls_nobody_signs_in_from_elsewhere() {
        let of = |text: &str| text.parse().unwrap();
        for (address, is_local) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(may_be_read(&rules(false), of(address)), !is_local, "{address}");
            assert!(!may_be_read(&rules(true), of(address)));
            let trusted = Rules { is_plaintext_trusted: true, ..rules(false) };
            assert!(!may_be_read(&trusted, of(address)));
        }
    }

    #[test]
    fn who_has_to_wait_hears_how_long() {
        for (ms, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (900_000, "900")] {
            let response = wait(Wait(ms));
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], seconds);
        }
        assert_eq!(unknown("x").headers()["www-authenticate"], "Bearer realm=\"shardcast\"");
    }

    proptest::proptest! {
        /// Whatever is sent is read, and only what is an address or a known name passes.
        #[test]
        fn any_head_is_read(host in "\\PC{0,40}|[a-z0-9.:\\[\\]]{0,20}", other in "\\PC{0,40}") {
            let line = |value: &str| HeaderValue::from_bytes(value.as_bytes());
            let (Ok(host), Ok(other)) = (line(&host), line(&other)) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert("host", host.clone());
            headers.insert("origin", other.clone());
            headers.insert("cookie", other);
            let rules = rules(false);
            if is_host_known(&rules, &headers) {
                let text = host.to_str().unwrap().to_ascii_lowercase();
                let known = ["localhost", "tv.example.org"];
                let is_name = known.iter().any(|name| text.strip_prefix(name).is_some_and(
                    |rest| rest.is_empty() || rest.starts_with(':')
                ));
                let is_address = text.starts_with('[') || text.contains(':')
                    || text.parse::<IpAddr>().is_ok();
                proptest::prop_assert!(is_name || is_address, "{text}");
            }
            is_foreign(&headers);
            session_id(&rules, &headers);
        }
    }
}
