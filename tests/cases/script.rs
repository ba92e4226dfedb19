//! Conversations as data: a `.case` file in, its cases out. README.md describes the form.

use std::fmt;

/// One conversation.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// File and line, for messages.
    pub place: String,
    pub steps: Vec<Step>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.place)
    }
}

/// One step of it.
#[derive(Debug)]
pub enum Step {
    /// The client sends these bytes with one call.
    Send(Vec<u8>),
    /// The client sends no more.
    Shut,
    /// The server answers like this.
    Expect(Expectation),
    /// The server closes the connection without an answer.
    ExpectClosed,
}

/// One answer, as far as the case cares.
#[derive(Debug)]
pub struct Expectation {
    pub status: u16,
    /// The value of X-Shardcast-Reason.
    pub reason: Option<String>,
    /// To a HEAD: nothing follows the head.
    pub head_only: bool,
    pub then: Then,
    /// Names in lower case, and the value; none = it may not be there.
    pub fields: Vec<(String, Option<String>)>,
    pub body: Option<Body>,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is closed, without another byte.
    Closed,
    /// It takes another request.
    Open,
    /// Another answer comes.
    More,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes of a file of the library; none = all.
    File { path: String, range: Option<(usize, usize)> },
    /// A file, gzipped.
    Gzip(String),
    /// Parts of multipart/byteranges.
    Parts { path: String, ranges: Vec<(usize, usize)> },
}

/// Reads a file of cases.
pub fn cases(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", number + 1);
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "case" {
            cases.push(Case { name: rest.to_owned(), place, steps: Vec::new() });
            continue;
        }
        if mark.is_empty() || mark.starts_with('#') {
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{place}: a step before any case"));
        match (mark, case.steps.last_mut()) {
            (">", Some(Step::Send(bytes))) => bytes.extend(sent(rest, &place)),
            (">", _) => case.steps.push(Step::Send(sent(rest, &place))),
            ("cut", _) => case.steps.push(Step::Send(Vec::new())),
            ("shut", _) => case.steps.push(Step::Shut),
            ("<", _) if rest == "nothing, closed" => case.steps.push(Step::ExpectClosed),
            ("<", _) if rest.starts_with(|byte: char| byte.is_ascii_digit()) => {
                case.steps.push(Step::Expect(expectation(rest, &place)));
            }
            ("<", Some(Step::Expect(expectation))) => detail(expectation, rest, &place),
            _ => panic!("{place}: not a step: {line}"),
        }
    }
    cases
}

/// The bytes of a line that is sent: escapes, and CRLF unless it ends with a backslash.
fn sent(line: &str, place: &str) -> Vec<u8> {
    let (line, end) = match line.strip_suffix('\\') {
        Some(line) if !line.ends_with('\\') => (line, &b""[..]),
        _ => (line, &b"\r\n"[..]),
    };
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = unescaped(escape, &mut bytes).unwrap_or_else(|| panic!("{place}: a bad escape"));
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(end);
    bytes
}

/// Takes one escape, without its backslash, and gives what follows it.
fn unescaped<'l>(escape: &'l str, bytes: &mut Vec<u8>) -> Option<&'l str> {
    let (letter, rest) = escape.split_at_checked(1)?;
    match letter {
        "r" => bytes.push(b'\r'),
        "n" => bytes.push(b'\n'),
        "t" => bytes.push(b'\t'),
        "0" => bytes.push(0),
        "\\" => bytes.push(b'\\'),
        "x" => {
            let (digits, rest) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            return Some(rest);
        }
        // \(3*text) is text three times.
        "(" => {
            let (group, rest) = rest.split_once(')')?;
            let (count, text) = group.split_once('*')?;
            let text = text.replace("\\r", "\r").replace("\\n", "\n");
            bytes.extend_from_slice(text.repeat(count.parse().ok()?).as_bytes());
            return Some(rest);
        }
        _ => return None,
    }
    Some(rest)
}

/// `206 open`, `400 malformed closed`, `200 head open`.
fn expectation(line: &str, place: &str) -> Expectation {
    let mut words = line.split(' ');
    let status = words.next().and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{place}: no status"));
    let mut words: Vec<&str> = words.collect();
    let then = match words.pop() {
        Some("closed") => Then::Closed,
        Some("open") => Then::Open,
        Some("more") => Then::More,
        _ => panic!("{place}: what becomes of the connection? closed, open or more"),
    };
    let head_only = words.contains(&"head");
    let reason = words.into_iter().find(|word| *word != "head").map(str::to_owned);
    Expectation { status, reason, head_only, then, fields: Vec::new(), body: None }
}

/// `content-length: 5`, `no vary`, `body films/a/1.m4s 0-9`.
fn detail(expectation: &mut Expectation, line: &str, place: &str) {
    if let Some(name) = line.strip_prefix("no ") {
        expectation.fields.push((name.to_owned(), None));
    } else if let Some(body) = line.strip_prefix("body ") {
        expectation.body = Some(body_of(body, place));
    } else if let Some((name, value)) = line.split_once(": ") {
        expectation.fields.push((name.to_owned(), Some(value.to_owned())));
    } else {
        panic!("{place}: not a detail of an answer: {line}");
    }
}

fn body_of(text: &str, place: &str) -> Body {
    let words: Vec<&str> = text.split(' ').collect();
    let range = |word: &&str| {
        let (first, last) = word.split_once('-').unwrap_or_else(|| panic!("{place}: no range"));
        let number = |digits: &str| digits.parse().unwrap_or_else(|_| panic!("{place}: no number"));
        (number(first), number(last))
    };
    match words[..] {
        ["empty"] => Body::Empty,
        ["gzip", path] => Body::Gzip(path.to_owned()),
        ["parts", path, ref ranges @ ..] => {
            Body::Parts { path: path.to_owned(), ranges: ranges.iter().map(range).collect() }
        }
        [path] => Body::File { path: path.to_owned(), range: None },
        [path, ref one] => Body::File { path: path.to_owned(), range: Some(range(one)) },
        _ => panic!("{place}: not a body: {text}"),
    }
}
