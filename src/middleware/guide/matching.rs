//! Which channel of which guide speaks of which of ours.
//!
//! Pure. What an operator has said counts; then a channel whose id in the guide is ours; then one
//! that has our name, written in whatever way. What is only alike is never taken by itself: it is
//! proposed, and somebody has to accept it. Each source is looked through by itself, so that one
//! fills what the other leaves open.

use std::collections::{BTreeMap, HashMap};

use super::store::SourceChannel;

/// One of our channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How long its past can be watched, in seconds.
    pub archive_seconds: u64,
    /// What was said of its guide.
    pub said: Said,
}

/// What an operator has said of a channel's guide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What guides call it; none = it is found by itself.
    pub xmltv: Option<String>,
    /// In this source alone; none = in whichever has it.
    pub source: Option<String>,
    /// Minutes by which its programmes are moved.
    pub shift_minutes: i32,
    /// It has no guide, whatever is found.
    pub is_off: bool,
}

/// A source with its channels, as the store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Its channels.
    pub channels: Vec<SourceChannel>,
}

/// How a channel of a source was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Somebody said so.
    Said,
    /// It has our channel's id.
    Id,
    /// It has our channel's name.
    Name,
}

impl How {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Id => "id",
            Self::Name => "name",
        }
    }
}

/// A channel of a source that speaks of one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The source.
    pub source: String,
    /// What that calls it.
    pub xmltv: String,
    /// Its number in the store.
    pub number: i64,
    /// Where its logo is; empty = nowhere.
    pub icon: String,
    /// How it was found.
    pub how: How,
}

/// One of our channels, with those that speak of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// The first counts; the others fill what it leaves open.
    pub feeds: Vec<Feed>,
    /// Seconds by which programmes are moved.
    pub shift_seconds: i64,
    /// How long the past can be watched, in seconds.
    pub archive_seconds: u64,
    /// It is to have no guide.
    pub is_off: bool,
}

/// All of our channels, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// See `Line`.
    pub channels: BTreeMap<String, Line>,
    /// Counts changes of it.
    pub version: u64,
}

/// What a source's channels can be found by.
struct Names<'s> {
    source: &'s Source,
    by_id: HashMap<String, &'s SourceChannel>,
    by_name: HashMap<String, &'s SourceChannel>,
}

impl<'s> Names<'s> {
    fn of(source: &'s Source) -> Self {
        let (mut by_id, mut by_name) = (HashMap::new(), HashMap::new());
        for channel in &source.channels {
            by_id.entry(channel.xmltv.to_lowercase()).or_insert(channel);
            for name in channel.names.iter().map(|name| plain(name)).filter(|of| !of.is_empty()) {
                // Of two of one name the one that says more.
                let known = by_name.entry(name).or_insert(channel);
                if known.programmes < channel.programmes {
                    *known = channel;
                }
            }
        }
        Self { source, by_id, by_name }
    }

    fn found(&self, ours: &Ours) -> Option<(&'s SourceChannel, How)> {
        let of = |id: &str| self.by_id.get(&id.to_lowercase()).copied();
        if let Some(xmltv) = &ours.said.xmltv {
            let is_meant = ours.said.source.as_ref().is_none_or(|source| *source == self.source.id);
            // Ids may differ in their letters' case alone.
            let exact = self.source.channels.iter().find(|channel| channel.xmltv == *xmltv);
            return exact.or_else(|| of(xmltv)).filter(|_| is_meant).map(|of| (of, How::Said));
        }
        let by_id = of(&ours.id).map(|channel| (channel, How::Id));
        let by_name = || {
            let name = plain(&ours.name);
            let found = self.by_name.get(&name).filter(|_| !name.is_empty());
            found.map(|&channel| (channel, How::Name))
        };
        by_id.or_else(by_name)
    }
}

/// Finds all of our channels in these sources, of which the first counts most.
#[must_use]
pub fn lines(ours: &[Ours], sources: &[Source], version: u64) -> Lines {
    let names: Vec<_> = sources.iter().map(Names::of).collect();
    let line = |ours: &Ours| {
        let feed = |(names, (channel, how)): (&Names<'_>, (&SourceChannel, How))| Feed {
            source: names.source.id.clone(),
            xmltv: channel.xmltv.clone(),
            number: channel.number,
            icon: channel.icon.clone(),
            how,
        };
        let found = names.iter().filter_map(|names| Some((names, names.found(ours)?)));
        let feeds = if ours.said.is_off { Vec::new() } else { found.map(feed).collect() };
        let line = Line {
            name: ours.name.clone(),
            feeds,
            shift_seconds: 60 * i64::from(ours.said.shift_minutes),
            archive_seconds: ours.archive_seconds,
            is_off: ours.said.is_off,
        };
        (ours.id.clone(), line)
    };
    Lines { channels: ours.iter().map(line).collect(), version }
}

/// Words that tell how a channel is sent, not which one it is.
const QUALITY: [&str; 12] =
    ["hd", "fhd", "uhd", "qhd", "sd", "4k", "8k", "hevc", "h264", "h265", "1080p", "720p"];

/// A name as names are compared: small letters without marks, no spaces and signs, and not how it
/// is sent. `Das Erste HD` and `das-erste` are one; `Eins +1` is another than `Eins`.
#[must_use]
pub fn plain(name: &str) -> String {
    let words = words(name);
    let said = words.iter().filter(|word| !QUALITY.contains(&word.as_str()));
    let plain: String = said.map(String::as_str).collect();
    // A channel may be called HD.
    if plain.is_empty() { words.concat() } else { plain }
}

fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars().flat_map(char::to_lowercase) {
        let last = words.last_mut().expect("there is one at least");
        match letter {
            '+' => last.push_str("plus"),
            '&' => last.push_str("and"),
            '\'' | '’' | '\u{300}'..='\u{36f}' => {}
            letter if letter.is_alphanumeric() => last.push_str(bare(letter, &mut [0; 4])),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A small letter without its marks, as far as names of channels have some.
fn bare(letter: char, buffer: &mut [u8; 4]) -> &str {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        letter => letter.encode_utf8(buffer),
    }
}

/// A channel of a source that may be one of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The source.
    pub source: String,
    /// What that calls it.
    pub xmltv: String,
    /// What people call it there.
    pub name: String,
    /// How alike they are: 1 = the same.
    pub likeness: f64,
}

/// Proposals that are made of one channel.
const PROPOSALS_MAX: usize = 3;

/// Less alike than this is not proposed.
const LIKENESS_MIN: f64 = 0.5;

/// Names of sources, so that those that are alike are found without looking at all of them.
#[derive(Debug)]
pub struct Alike<'s> {
    /// Source, channel, and one of its names without marks.
    names: Vec<(&'s Source, &'s SourceChannel, String)>,
    /// Which of them have two letters next to each other.
    having: HashMap<[char; 2], Vec<u32>>,
}

impl<'s> Alike<'s> {
    /// Of these.
    #[must_use]
    pub fn new(sources: &'s [Source]) -> Self {
        let mut names = Vec::new();
        for source in sources {
            for channel in &source.channels {
                let said = channel.names.iter().chain([&channel.xmltv]);
                names.extend(said.map(|name| (source, channel, plain(name))));
            }
        }
        let mut having = HashMap::<_, Vec<u32>>::new();
        for (at, (.., name)) in names.iter().enumerate() {
            for pair in pairs(name) {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                let those = having.entry(pair).or_default();
                if those.last() != Some(&at) {
                    those.push(at);
                }
            }
        }
        Self { names, having }
    }

    /// What may be this channel, what is most like it first.
    #[must_use]
    pub fn proposals(&self, ours: &Ours) -> Vec<Proposal> {
        let mut best = Vec::<Proposal>::new();
        for name in [plain(&ours.name), plain(&ours.id)] {
            let mut pairs = pairs(&name);
            pairs.sort_unstable();
            pairs.dedup();
            let mut shared = HashMap::<u32, usize>::new();
            for at in pairs.iter().filter_map(|pair| self.having.get(pair)).flatten() {
                *shared.entry(*at).or_default() += 1;
            }
            for (at, shared) in shared {
                let (source, channel, other) = &self.names[at as usize];
                let mut theirs = self::pairs(other);
                theirs.sort_unstable();
                theirs.dedup();
                // Dice's coefficient of pairs of letters.
                let likeness = 2.0 * shared as f64 / (pairs.len() + theirs.len()) as f64;
                if likeness < LIKENESS_MIN {
                    continue;
                }
                let name = channel.names.first().unwrap_or(&channel.xmltv).clone();
                let (source, xmltv) = (source.id.clone(), channel.xmltv.clone());
                best.push(Proposal { source, xmltv, name, likeness });
            }
        }
        best.sort_by(|one, other| {
            let by_name = || (&one.source, &one.xmltv).cmp(&(&other.source, &other.xmltv));
            other.likeness.total_cmp(&one.likeness).then_with(by_name)
        });
        let mut seen = std::collections::HashSet::new();
        best.retain(|of| seen.insert((of.source.clone(), of.xmltv.clone())));
        best.truncate(PROPOSALS_MAX);
        best
    }
}

/// Letters next to each other, with the first and the last also at the edges.
fn pairs(name: &str) -> Vec<[char; 2]> {
    let letters: Vec<_> = [' '].into_iter().chain(name.chars()).chain([' ']).collect();
    letters.windows(2).map(|two| [two[0], two[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(number: i64, xmltv: &str, names: &[&str]) -> SourceChannel {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        SourceChannel { number, xmltv: xmltv.to_owned(), names, ..SourceChannel::default() }
    }

    fn source(id: &str, channels: Vec<SourceChannel>) -> Source {
        Source { id: id.to_owned(), channels }
    }

    fn ours(id: &str, name: &str) -> Ours {
        Ours { id: id.to_owned(), name: name.to_owned(), ..Ours::default() }
    }

    fn two() -> [Source; 2] {
        [
            source(
                "first",
                vec![
                    channel(1, "News.example", &["News"]),
                    channel(2, "erste.example", &["Das Erste", "ARD"]),
                    channel(3, "other.example", &["Das Erste +1"]),
                ],
            ),
            source("second", vec![channel(4, "ard", &["Das Erste HD"]), channel(5, "tf1", &[])]),
        ]
    }

    fn found(of: &Ours) -> Vec<(i64, &'static str)> {
        let lines = lines(std::slice::from_ref(of), &two(), 1);
        lines.channels[&of.id].feeds.iter().map(|feed| (feed.number, feed.how.word())).collect()
    }

    #[test]
    fn a_channel_is_found_by_what_was_said_then_by_its_id_then_by_its_name() {
        assert_eq!(found(&ours("news.example", "Something")), [(1, "id")]);
        assert_eq!(found(&ours("x", "DAS-ERSTE FHD")), [(2, "name"), (4, "name")]);
        assert_eq!(found(&ours("x", "das érste+1")), [(3, "name")]);
        assert_eq!(found(&ours("ard", "ARD")), [(2, "name"), (4, "id")]);
        assert_eq!(found(&ours("x", "HD")), []);
        let mut said = ours("ard", "Das Erste");
        said.said.xmltv = Some("other.example".to_owned());
        assert_eq!(found(&said), [(3, "said")], "and nowhere else by its name");
        said.said.source = Some("second".to_owned());
        assert_eq!(found(&said), []);
        said.said = Said { is_off: true, ..Said::default() };
        assert_eq!(found(&said), []);
    }

    #[test]
    fn names_are_compared_without_marks_signs_and_how_they_are_sent() {
        for (name, expected) in [
            ("Das Erste HD", "daserste"),
            ("RTL+ UHD 4K", "rtlplus"),
            ("Česká televize", "ceskatelevize"),
            ("A&E", "aande"),
            ("HD", "hd"),
            ("Müller's TV", "muellerstv"),
            ("Первый канал", "первыйканал"),
            ("  ", ""),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_alike_is_proposed_and_never_taken() {
        let sources = two();
        let alike = Alike::new(&sources);
        let of = ours("x", "Das Erste (Nord)");
        assert_eq!(found(&of), []);
        let proposals = alike.proposals(&of);
        assert_eq!(proposals[0].xmltv, "erste.example");
        assert_eq!(proposals[0].source, "first");
        assert!(proposals[0].likeness < 1.0 && proposals.len() <= PROPOSALS_MAX);
        assert_eq!(alike.proposals(&ours("zz", "Quiz Show")), []);
    }
}
