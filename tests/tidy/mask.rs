//! Rust text in, the same text with everything but code blanked out; and the reverse.
//!
//! Not a parser: enough of a lexer to know strings, characters, lifetimes and comments, so that
//! rules can search for words without finding them in prose. Offsets and lines stay as they were.

use std::ops::Range;

/// A Rust file taken apart. Both texts are as long as the original.
#[derive(Default)]
pub struct Masked {
    /// Code; comments and the insides of strings and characters are spaces.
    pub code: String,
    /// Comments; everything else is spaces.
    pub comments: String,
    /// What stands under `#[cfg(test)]` or `#[test]`, in bytes.
    tests: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Masked {
    pub fn of(text: &str) -> Self {
        let kinds = kinds(text.as_bytes());
        let code = blanked(text, &kinds, Kind::Code);
        let comments = blanked(text, &kinds, Kind::Comment);
        let tests = test_regions(&code);
        Self { code, comments, tests }
    }

    pub fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|region| region.contains(&offset))
    }

    /// Offsets at which `word` stands in the code, as a whole word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }
}

/// Offsets of `word` in `text` where no identifier goes on at either side.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(offset, _)| offset).filter(move |&offset| {
        let before = text[..offset].chars().next_back();
        let after = text[offset + word.len()..].chars().next();
        !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
    })
}

pub fn is_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The identifier that begins at `offset`, or nothing.
pub fn identifier_at(text: &str, offset: usize) -> &str {
    let rest = &text[offset..];
    &rest[..rest.find(|letter| !is_identifier(letter)).unwrap_or(rest.len())]
}

/// The offset just after the bracket that closes the one at `open`; the end of the text if none.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn blanked(text: &str, kinds: &[Kind], kept: Kind) -> String {
    let bytes = text
        .bytes()
        .zip(kinds)
        .map(|(byte, kind)| if *kind == kept || byte == b'\n' { byte } else { b' ' });
    String::from_utf8(bytes.collect()).expect("whole characters are kept or blanked, never parts")
}

/// The kind of every byte. Quotes belong to the code, so that a literal can be seen to be one.
fn kinds(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (end, inside, kind) = token(text, at);
        kinds[inside].fill(kind);
        at = end;
    }
    kinds
}

/// The token at `at`: where it ends, and which of its bytes are not code.
fn token(text: &[u8], at: usize) -> (usize, Range<usize>, Kind) {
    let rest = &text[at..];
    if rest.starts_with(b"//") {
        let end = at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        return (end, at..end, Kind::Comment);
    }
    if rest.starts_with(b"/*") {
        let end = block_comment_end(text, at);
        return (end, at..end, Kind::Comment);
    }
    let word_before = at > 0 && is_identifier(char::from(text[at - 1]));
    if rest[0] == b'r' && (!word_before || matches!(text[at - 1], b'b' | b'c')) {
        let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let closing = [&b"\""[..], &vec![b'#'; hashes]].concat();
            let start = at + 2 + hashes;
            let length = text[start..].windows(closing.len()).position(|window| window == closing);
            let close = length.map_or(text.len(), |length| start + length);
            return ((close + closing.len()).min(text.len()), start..close, Kind::Literal);
        }
    }
    if rest[0] == b'"' {
        let close = quoted_end(text, at + 1, b'"');
        return ((close + 1).min(text.len()), at + 1..close, Kind::Literal);
    }
    // A quote opens a character if it closes after one, or after an escape; else it is a lifetime.
    if rest[0] == b'\'' {
        let first = std::str::from_utf8(&rest[1..rest.len().min(5)])
            .unwrap_or_else(|error| {
                std::str::from_utf8(&rest[1..=error.valid_up_to()]).unwrap_or_default()
            })
            .chars()
            .next();
        let width = first.map_or(1, char::len_utf8);
        if rest.get(1) == Some(&b'\\') || rest.get(1 + width) == Some(&b'\'') {
            let close = quoted_end(text, at + 1, b'\'');
            return ((close + 1).min(text.len()), at + 1..close, Kind::Literal);
        }
    }
    (at + 1, at..at, Kind::Code)
}

fn block_comment_end(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The offset of the quote that closes a literal whose inside begins at `start`.
fn quoted_end(text: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

/// From each test attribute to the end of the item it stands on.
fn test_regions(code: &str) -> Vec<Range<usize>> {
    let attributes = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"];
    let mut regions = Vec::new();
    for attribute in attributes {
        for (start, _) in code.match_indices(attribute) {
            let after = start + attribute.len();
            let Some(length) = code[after..].find(['{', ';']) else { continue };
            let open = after + length;
            let end = if code.as_bytes()[open] == b'{' { closing(code, open) } else { open };
            regions.push(start..end);
        }
    }
    regions
}

#[test]
fn words_are_found_in_code_only() {
    let text =
        "let a = \"unsafe\"; // unsafe\n/* /* unsafe */ unsafe */ r#\"unsafe\"# 'u' unsafe x";
    let masked = Masked::of(text);
    assert_eq!(masked.words("unsafe").collect::<Vec<_>>(), [text.len() - 8]);
    assert_eq!(masked.comments.matches("unsafe").count(), 3);
    assert_eq!(masked.code.len(), text.len());
}

#[test]
fn characters_and_lifetimes_are_told_apart() {
    let masked =
        Masked::of("fn f<'a>(x: &'a str) { x == '\"' || x == '\\'' || x == '{' || y == 'é' }");
    assert!(!masked.code.contains('é'));
    assert_eq!(masked.code.matches('{').count(), 1);
    assert!(masked.code.contains("<'a>"));
}

#[test]
fn test_regions_end_with_their_item() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n";
    let masked = Masked::of(text);
    let is_test = |word: &str| masked.is_test(text.find(word).expect("it is in the sample"));
    assert!(!is_test("a()") && is_test("b()") && !is_test("c()"));
}
