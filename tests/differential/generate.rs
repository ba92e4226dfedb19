//! Requests, thousands of them, from a seed: what players send, what odd clients send, and what
//! nobody should send. Whatever is special about a request stands in its tags.

use std::fmt::Write as _;

use super::client::Request;
use super::content::Content;
use super::random::Random;

/// A dimension of a request: adds to it by chance.
type Trait = fn(&mut Random, &mut Request, size: usize);

const TRAITS: &[Trait] = &[method, version, range, conditions, extra_headers];

/// After these a server may close, politely: the request ends its batch.
const ENDS: &[&str] = &["if-match", "if-unmodified-since"];

/// These a server may refuse and close with bytes unread. The reset that follows can destroy
/// answers that are still on their way, so these are sent alone.
const ALONE: &[&str] = &["malformed", "double-slash", "dot", "dot-dot", "encoded-slash"];

/// The requests of one connection: all but the last leave it open.
pub fn batch(random: &mut Random, content: &Content, assets: &[&str]) -> Vec<Request> {
    let count = if random.chance(60) { 1 } else { 2 + random.below(6) };
    let mut batch: Vec<Request> = Vec::new();
    while batch.len() < count {
        let request = request(random, content, assets);
        let is_any = |of: &[&str]| request.tags.iter().any(|tag| of.contains(tag));
        let (is_alone, ends) = (is_any(ALONE), is_any(ENDS) || request.is_last());
        if is_alone && !batch.is_empty() {
            continue;
        }
        batch.push(request);
        if is_alone || ends {
            break;
        }
    }
    batch
}

fn request(random: &mut Random, content: &Content, assets: &[&str]) -> Request {
    let names: Vec<&String> = content.keys().collect();
    let name = *random.one_of(&names);
    let asset = *random.one_of(assets);
    let mut request = Request {
        method: "GET",
        target: format!("/vod/{asset}/{}", encoded(random, name)),
        version: "HTTP/1.1",
        headers: Vec::new(),
        tags: Vec::new(),
        file: Some(format!("{asset}/{name}")),
    };
    let size = content[name].len();
    if size == 0 {
        request.tags.push("empty-file");
    }
    if random.chance(15) {
        other_target(random, &mut request, asset, name);
    }
    for add in TRAITS {
        add(random, &mut request, size);
    }
    request
}

/// Percent-encodes what must be, and by chance what need not be.
fn encoded(random: &mut Random, name: &str) -> String {
    let eager = random.chance(20);
    let mut encoded = String::new();
    for byte in name.bytes() {
        let safe = byte.is_ascii_alphanumeric() || b"/-._~+&=".contains(&byte);
        if safe && !(eager && byte != b'/' && random.chance(30)) {
            encoded.push(char::from(byte));
        } else if random.chance(50) {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        } else {
            write!(encoded, "%{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

/// A target that is not simply the name of a file.
fn other_target(random: &mut Random, request: &mut Request, asset: &str, name: &str) {
    let whole = format!("/vod/{asset}/{}", encoded(random, name));
    let deeper = whole.rfind('/').expect("every target has a slash");
    let (target, tag, is_file) = match random.below(13) {
        0 => (format!("{whole}?token=a&b=%20c"), "query", true),
        1 => (format!("{whole}x"), "missing", false),
        2 => (format!("/vod/{asset}/missing/{name}").replace(' ', "%20"), "missing", false),
        3 => (format!("/nowhere/{asset}"), "missing", false),
        4 => (format!("{}//{}", &whole[..deeper], &whole[deeper + 1..]), "double-slash", true),
        5 => (format!("{}/./{}", &whole[..deeper], &whole[deeper + 1..]), "dot", true),
        6 => (format!("{}/x/../{}", &whole[..deeper], &whole[deeper + 1..]), "dot-dot", true),
        7 => (format!("/vod/{asset}/../../../../etc/passwd"), "escape", false),
        8 => (format!("{}%2F{}", &whole[..deeper], &whole[deeper + 1..]), "encoded-slash", true),
        9 => (format!("{whole}%00.ts"), "nul", false),
        10 => (format!("{whole}%zz"), "bad-escape", false),
        11 => (format!("/vod/{asset}/360p"), "folder", false),
        _ => (format!("/vod/{asset}/360p/"), "folder-slash", false),
    };
    request.target = target.replace('ü', "%c3%bc").replace('ß', "%c3%9f");
    request.tags.push(tag);
    if matches!(tag, "nul" | "bad-escape" | "escape") {
        request.tags.push("malformed");
    }
    if !is_file {
        request.file = None;
    }
}

fn method(random: &mut Random, request: &mut Request, _: usize) {
    if random.chance(20) {
        request.method = "HEAD";
    } else if random.chance(2) {
        let methods = ["DELETE", "PUT", "TRACE", "OPTIONS", "POST", "BREW"];
        request.method = *random.one_of(&methods);
        request.headers.push(("Content-Length", "0".to_owned()));
        request.tags.push(if request.method == "OPTIONS" { "options" } else { "method" });
        // A server may close after a method that it refuses.
        request.tags.push("malformed");
    }
}

fn version(random: &mut Random, request: &mut Request, _: usize) {
    if random.chance(15) {
        request.version = "HTTP/1.0";
        if random.chance(50) {
            request.headers.push(("Connection", "keep-alive".to_owned()));
        }
    } else if random.chance(5) {
        request.headers.push(("Connection", "close".to_owned()));
    }
}

fn range(random: &mut Random, request: &mut Request, size: usize) {
    if !random.chance(55) {
        return;
    }
    let (value, tag) = if random.chance(45) {
        one_range(random, size)
    } else {
        match random.below(4) {
            0 => several_ranges(random, size),
            1 => odd_range(random),
            2 => huge_range(random, size),
            _ => (format!("bytes={}-", size + random.below(3)), "past-end"),
        }
    };
    request.tags.push(tag);
    request.tags.push("range");
    if request.method == "HEAD" {
        request.tags.push("head-range");
    }
    request.headers.push(("Range", value));
}

/// A range that can be answered, if the file has any byte.
fn one_range(random: &mut Random, size: usize) -> (String, &'static str) {
    let start = random.below(size.max(1));
    let value = match random.below(6) {
        0 => format!("bytes={start}-"),
        1 => format!("bytes={start}-{}", start + random.below(size - start + 1)),
        2 => format!("bytes=-{}", 1 + random.below(size + 2)),
        3 => format!("bytes={start}-{start}"),
        4 => format!("bytes={start}-{}", size + random.below(1000)),
        _ => "bytes=0-".to_owned(),
    };
    (value, "one-range")
}

/// Several ranges in order, apart from each other; or overlapping, or too many.
fn several_ranges(random: &mut Random, size: usize) -> (String, &'static str) {
    let kind = *random.one_of(&["several-ranges", "overlapping-ranges", "many-ranges"]);
    let count = if kind == "many-ranges" { 9 + random.below(30) } else { 2 + random.below(4) };
    let step = size / (count + 1);
    let mut value = "bytes=".to_owned();
    for index in 0..count {
        let start = index * step;
        let length = if kind == "overlapping-ranges" { step + step / 2 } else { step / 2 };
        let comma = if index == 0 { "" } else { random.one_of(&[",", ", "]) };
        write!(value, "{comma}{start}-{}", start + length.saturating_sub(1))
            .expect("writing to a string cannot fail");
    }
    // Files this small give ranges that touch: a kind of their own.
    (value, if step < 4 { "tiny-ranges" } else { kind })
}

/// What is not a range, or not one of bytes.
fn odd_range(random: &mut Random) -> (String, &'static str) {
    let odd = [
        ("bytes=", "bad-range"),
        ("bytes=abc", "bad-range"),
        ("bytes=5-4", "bad-range"),
        ("bytes=--5", "bad-range"),
        ("bytes=1-2-3", "bad-range"),
        ("bytes=0x1-", "bad-range"),
        ("bytes=1-b", "bad-range"),
        ("bytes=-", "bad-range"),
        ("bytes=1", "bad-range"),
        ("bytes", "bad-range"),
        ("lines=0-1", "other-unit"),
        ("seconds=1-2", "other-unit"),
        ("bytes=-0", "suffix-of-nothing"),
        ("Bytes=0-1", "unit-case"),
        ("bytes= 0-1", "range-space"),
        ("bytes=0 -1", "range-space"),
        ("bytes=0-1,", "range-comma"),
        ("bytes=,0-1", "range-comma"),
    ];
    let (value, tag) = *random.one_of(&odd);
    (value.to_owned(), tag)
}

/// Numbers at the ends of what 64 bits hold.
fn huge_range(random: &mut Random, size: usize) -> (String, &'static str) {
    let start = random.below(size.max(1));
    let huge = [
        ("bytes=-9223372036854775807".to_owned(), "huge-suffix"),
        ("bytes=-9223372036854775808".to_owned(), "overflow"),
        ("bytes=-18446744073709551615".to_owned(), "overflow"),
        (format!("bytes={start}-9223372036854775807"), "huge-end"),
        (format!("bytes={start}-18446744073709551615"), "overflow"),
        (format!("bytes={start}-18446744073709551616"), "overflow"),
        ("bytes=9223372036854775807-".to_owned(), "past-end"),
        ("bytes=18446744073709551616-".to_owned(), "overflow"),
    ];
    random.one_of(&huge).clone()
}

fn conditions(random: &mut Random, request: &mut Request, _: usize) {
    const DATES: &[&str] = &[
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "Wed, 15 Nov 2023 12:00:00 GMT",
        "Fri, 01 Jan 2038 00:00:00 GMT",
    ];
    if !random.chance(40) {
        return;
    }
    let etags =
        ["{etag}", "\"other\"", "W/{etag}", "\"a\", {etag} , \"b\"", "\"a\",W/{etag}", "*", "\"\""];
    for _ in 0..1 + usize::from(random.chance(25)) {
        let etag = (*random.one_of(&etags)).to_owned();
        let date = (*random.one_of(DATES)).to_owned();
        let (name, value, tag) = match random.below(6) {
            0 => ("If-None-Match", etag, "if-none-match"),
            1 => ("If-Match", etag, "if-match"),
            2 => ("If-Modified-Since", date, "if-modified-since"),
            3 => ("If-Unmodified-Since", date, "if-unmodified-since"),
            4 => ("If-Range", etag, "if-range"),
            _ => ("If-Range", date, "if-range-date"),
        };
        if request.headers.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if value.contains("W/") {
            request.tags.push("weak");
        }
        if value.contains(',') && tag == "if-range" {
            request.tags.push("if-range-list");
        }
        if value == "*" && tag == "if-range" {
            request.tags.push("if-range-star");
        }
        request.tags.push(tag);
        request.headers.push((name, value));
    }
    if request.headers.iter().filter(|(name, _)| name.starts_with("If-")).count() > 1 {
        request.tags.push("two-conditions");
    }
}

fn extra_headers(random: &mut Random, request: &mut Request, _: usize) {
    if random.chance(30) {
        request.headers.push(("User-Agent", "Lavf/59.27.100".to_owned()));
        request.headers.push(("Accept", "*/*".to_owned()));
    }
    if random.chance(10) {
        request.headers.push(("X-Playback-Session-Id", "x".repeat(random.below(600))));
    }
    if random.chance(10) {
        request.headers.push(("Origin", "http://player.example".to_owned()));
    }
}
