//! What the names of files say: a title and its year, or a series with season and episode. Pure.

use std::path::Path;

/// What a name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The title; of an episode that of its series, which may be empty.
    pub name: String,
    /// When it was made.
    pub year: Option<u16>,
    /// Season and episode, if it is one.
    pub place: Option<(u16, u16)>,
    /// What follows an episode's place: its own title, if that can be told from how it was encoded.
    pub rest: String,
}

/// What the name of an asset says. Where a file only says its place (`S01E02.mkv`), the folder
/// above it, or above the season's, says the rest.
#[must_use]
pub fn said(stem: &Path) -> Said {
    let element = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut said = read(&element(stem));
    if said.place.is_some() && said.name.is_empty() {
        let mut folder = stem.parent();
        while let Some(path) = folder.filter(|path| is_season(&element(path))) {
            folder = path.parent();
        }
        let above = read(&folder.map(element).unwrap_or_default());
        (said.name, said.year) = (above.name, above.year);
    }
    said
}

/// Whether a folder is a season's: `Season 1`, `S01`, `Staffel 2`, `Specials`.
#[must_use]
pub fn is_season(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    let digits = |rest: &str| {
        let rest = rest.trim_matches([' ', '_', '.', '-']);
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = ["season", "staffel", "saison", "temporada", "seizoen", "s"];
    name == "specials" || words.iter().any(|word| name.strip_prefix(word).is_some_and(digits))
}

/// One name, without its end.
fn read(name: &str) -> Said {
    if let Some((at, end, place)) = place(name) {
        let (series, year) = titled(&name[..at]);
        let (rest, _) = titled(&name[end..]);
        return Said { name: series, year, place: Some(place), rest };
    }
    let (name, year) = titled(name);
    Said { name, year, ..Said::default() }
}

/// Where `S01E02` or `1x02` stands in a name, and what it says.
fn place(name: &str) -> Option<(usize, usize, (u16, u16))> {
    let bytes = name.as_bytes();
    let digits = |from: usize, most: usize| {
        let count =
            bytes[from..].iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let number = name.get(from..from + count)?.parse::<u16>().ok()?;
        Some((number, from + count))
    };
    for at in 0..bytes.len() {
        let is_start = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        if !is_start {
            continue;
        }
        let is_s = bytes[at].eq_ignore_ascii_case(&b's');
        let Some((season, end)) = digits(at + usize::from(is_s), if is_s { 4 } else { 2 }) else {
            continue;
        };
        let mark = if is_s { b'e' } else { b'x' };
        // `S01 E02` and `S01.E02` are written too.
        let end = if is_s && bytes.get(end).is_some_and(|byte| b" ._-".contains(byte)) {
            end + 1
        } else {
            end
        };
        if !bytes.get(end).is_some_and(|byte| byte.eq_ignore_ascii_case(&mark)) {
            continue;
        }
        let Some((episode, mut end)) = digits(end + 1, if is_s { 4 } else { 3 }) else { continue };
        // Of several episodes in one file the first counts.
        while let Some(rest) = name.get(end..).and_then(|rest| {
            let rest = rest.strip_prefix('-').unwrap_or(rest);
            rest.strip_prefix(['e', 'E'])
                .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }) {
            let (_, after) = digits(name.len() - rest.len(), 4)?;
            end = after;
        }
        if bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            continue;
        }
        return Some((at, end, (season, episode)));
    }
    None
}

/// Words by which whoever encoded a film says how; the title ends before them.
const ENCODED: [&str; 22] = [
    "2160p", "1080p", "1080i", "720p", "576p", "480p", "4k", "uhd", "bluray", "blu-ray", "bdrip",
    "brrip", "webrip", "web-dl", "webdl", "hdtv", "dvdrip", "x264", "x265", "h264", "h265", "hevc",
];

/// A title and its year, of how files are named: `The.Matrix.1999.1080p`, `The Matrix (1999)`.
fn titled(name: &str) -> (String, Option<u16>) {
    // Names with spaces have dots that mean something.
    let spaced: String =
        if name.contains(' ') { name.replace('_', " ") } else { name.replace(['.', '_'], " ") };
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let year_of = |word: &str| {
        let bare = word.trim_matches(['(', ')', '[', ']']);
        let year = bare.parse::<u16>().ok().filter(|_| bare.len() == 4)?;
        (1900..=2100).contains(&year).then_some((year, bare.len() < word.len()))
    };
    let is_encoded = |word: &str| {
        let bare = word.trim_matches(['(', ')', '[', ']', ',']).to_lowercase();
        ENCODED.contains(&bare.as_str())
    };
    let mut end = words.iter().position(|word| is_encoded(word)).unwrap_or(words.len());
    // The last year counts, and in brackets before others; a title may begin with one (2012).
    let years = || words[..end].iter().enumerate().skip(1);
    let year = years()
        .filter_map(|(at, word)| {
            year_of(word).filter(|(_, bracketed)| *bracketed).map(|of| (at, of.0))
        })
        .next_back()
        .or_else(|| {
            years().filter_map(|(at, word)| year_of(word).map(|of| (at, of.0))).next_back()
        });
    if let Some((at, _)) = year {
        end = at;
    }
    let title = words[..end].join(" ");
    let title = title.trim_matches([' ', '-', '.', '_', '(', '[']).trim();
    (title.to_owned(), year.map(|(_, year)| year))
}

/// An id of a name: small letters, digits and dashes, up to so many; empty if nothing is left.
#[must_use]
pub fn id_of(name: &str, size_max: usize) -> String {
    let mut id = String::new();
    for one in name.chars().flat_map(char::to_lowercase) {
        match one {
            'a'..='z' | '0'..='9' => id.push(one),
            'ä' => id.push_str("ae"),
            'ö' => id.push_str("oe"),
            'ü' => id.push_str("ue"),
            'ß' => id.push_str("ss"),
            'à'..='å' => id.push('a'),
            'ç' => id.push('c'),
            'è'..='ë' => id.push('e'),
            'ì'..='ï' => id.push('i'),
            'ñ' => id.push('n'),
            'ò'..='õ' | 'ø' => id.push('o'),
            'ù'..='û' => id.push('u'),
            '\'' | '\u{2019}' => {}
            _ if id.ends_with('-') || id.is_empty() => {}
            _ => id.push('-'),
        }
    }
    id.truncate(size_max);
    id.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stem: &str, name: &str, year: Option<u16>, place: Option<(u16, u16)>, rest: &str) {
        let (name, rest) = (name.to_owned(), rest.to_owned());
        assert_eq!(said(Path::new(stem)), Said { name, year, place, rest }, "{stem}");
    }

    #[test]
    fn names_say_titles_and_years() {
        for (stem, name, year) in [
            ("films/The Matrix (1999)", "The Matrix", Some(1999)),
            ("The.Matrix.1999.1080p.BluRay.x264", "The Matrix", Some(1999)),
            ("The_Matrix_[1999]", "The Matrix", Some(1999)),
            ("2012 (2009)", "2012", Some(2009)),
            ("2012", "2012", None),
            ("Blade Runner 2049 (2017) 2160p", "Blade Runner 2049", Some(2017)),
            ("1917.2019.HDTV", "1917", Some(2019)),
            ("Dr. No", "Dr. No", None),
            ("a", "a", None),
            ("", "", None),
            ("Film 1080p", "Film", None),
            ("Größe (2001) - Teil 1", "Größe", Some(2001)),
        ] {
            check(stem, name, year, None, "");
        }
    }

    #[test]
    fn names_say_seasons_and_episodes() {
        check("Lost/Season 1/Lost S01E02 Pilot", "Lost", None, Some((1, 2)), "Pilot");
        check("Lost.S01E02.720p.HDTV", "Lost", None, Some((1, 2)), "");
        check("Lost (2004)/Staffel 01/s01e02", "Lost", Some(2004), Some((1, 2)), "");
        check("Lost/1x02 - Pilot", "Lost", None, Some((1, 2)), "Pilot");
        check("Lost s2.e03", "Lost", None, Some((2, 3)), "");
        check("Lost S01E02-E03 Two", "Lost", None, Some((1, 2)), "Two");
        check("Lost S01E02E03", "Lost", None, Some((1, 2)), "");
        check("Show.2010.S2010E123", "Show", Some(2010), Some((2010, 123)), "");
        check("S00E01", "", None, Some((0, 1)), "");
        // A size, a codec and half of a place are none.
        check("Film 1920x1080", "Film 1920x1080", None, None, "");
        check("Film x264", "Film", None, None, "");
        check("Lost S01", "Lost S01", None, None, "");
        check("éS01E02é", "é", None, Some((1, 2)), "é");
    }

    #[test]
    fn seasons_folders_are_no_series() {
        for name in ["Season 1", "season_02", "S01", "Staffel 3", "Specials"] {
            assert!(is_season(name), "{name}");
        }
        for name in ["Lost", "Season", "Seasons 1", "S", "Station 19", ""] {
            assert!(!is_season(name), "{name}");
        }
    }

    #[test]
    fn ids_are_of_letters_that_addresses_have() {
        for (name, id) in [
            ("The Wire", "the-wire"),
            ("Größe: Teil 2!", "groesse-teil-2"),
            ("L'Été", "lete"),
            ("  ", ""),
            ("日本", ""),
            ("abcdefghijklmn", "abcdefghij"),
        ] {
            assert_eq!(id_of(name, 10).len().min(10), id.len().min(10), "{name}");
            assert!(id_of(name, 100).starts_with(&id_of(name, 10)));
            assert_eq!(id_of(name, 100).get(..id.len()), Some(id), "{name}");
        }
    }
}
