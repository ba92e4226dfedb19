//! Inputs that a supervised ffmpeg reads for a channel: what may be named, and what is shown of it.
//!
//! A URL may hold a password, a token or a stream's key. People and scripts are shown where an
//! input is, and never the URL itself.

use std::fmt;
use std::path::PathBuf;

/// Inputs of one channel. Operators have one or two, and a file that says sorry. Beyond it the
/// config is refused.
pub const INPUTS_MAX: usize = 8;

/// Longest URL of an input, in bytes. A longer one is refused.
pub const INPUT_SIZE_MAX: usize = 2048;

/// Children at once, with those that look whether an earlier input is back. A child that copies
/// takes some percent of a core; beyond it channels wait, and say so.
pub const CHILDREN_MAX: usize = 256;

/// Lines of a child that are remembered: what it says when it begins and when it fails. Beyond it
/// the oldest go.
pub const CHILD_LINES_MAX: usize = 40;

/// Longest of these lines, in bytes. The rest of a longer one is not kept.
pub const CHILD_LINE_SIZE_MAX: usize = 400;

/// Milliseconds until an input that failed is tried again: at first, and at most, since each round
/// of failures doubles it.
pub const CHILD_AGAIN_MS: u64 = 500;
/// See `CHILD_AGAIN_MS`.
pub const CHILD_AGAIN_MS_MAX: u64 = 30_000;

/// Milliseconds of media after which a run has been good, and what failed before is forgotten.
pub const CHILD_GOOD_MS: u64 = 10_000;

/// Milliseconds that may pass until the first media of an input: ffmpeg looks at 5 s of it first,
/// and begins with a picture by which decoding can. Then it gives way to the next input.
pub const CHILD_BEGIN_MS: u64 = 20_000;

/// Milliseconds that may pass between media: more than any segment of an HLS input.
pub const CHILD_SILENCE_MS: u64 = 12_000;

/// Milliseconds until inputs before the one in use are tried, and at most, since each round without
/// media doubles it.
pub const CHILD_TRIAL_MS: u64 = 10_000;
/// See `CHILD_TRIAL_MS`.
pub const CHILD_TRIAL_MS_MAX: u64 = 600_000;

/// Milliseconds of media by which an input is known to be back.
pub const CHILD_TRIAL_MEDIA_MS: u64 = 2_000;

/// Milliseconds for which nobody has watched until an input on demand is left, if the channel says
/// nothing else. Players of the longest segments ask twice in that time.
pub const CHILD_IDLE_MS: u64 = 60_000;
/// Shortest and longest of such times that a channel may be set to. Outside them the config is
/// refused.
pub const CHILD_IDLE_MS_MIN: u64 = 10_000;
/// See `CHILD_IDLE_MS_MIN`.
pub const CHILD_IDLE_MS_MAX: u64 = 86_400_000;

/// How often shards are asked whether anybody watches a channel on demand, in milliseconds.
pub const CHILD_ASK_MS: u64 = 3_000;
const _: () = assert!(CHILD_ASK_MS * 3 <= CHILD_IDLE_MS_MIN, "an answer may come late");
const _: () = assert!(CHILD_IDLE_MS >= 2 * super::SEGMENT_MS_MAX, "players ask in that time");

/// Memory that a child may write, in bytes: an encoder of 2160 lines takes 2 GiB. Beyond it the
/// child's allocations fail, and it ends.
pub const CHILD_MEMORY_MAX: u64 = 4 << 30;

/// Descriptors that a child may have open: it needs one a rendition, and some.
pub const CHILD_DESCRIPTORS_MAX: u64 = 256;

/// Milliseconds of segments and parts that a child makes, if its channel says nothing else.
const CHILD_LENGTHS_MS: (u64, u64) = (2_000, 500);

/// What ffmpeg reads for a channel, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// In their order: the first that has media is read. Empty = somebody pushes.
    pub list: Vec<Input>,
    /// Whether it is read only while somebody watches.
    pub on_demand: bool,
    /// What is encoded anew.
    pub encode: Encode,
    /// Milliseconds for which nobody has watched until it stops, where it is on demand.
    pub idle_ms: Option<u64>,
}

/// What is encoded anew; everything else is taken as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encode {
    /// Nothing.
    #[default]
    Nothing,
    /// Sounds, to AAC.
    Audio,
    /// Pictures, to H.264, and sounds, to AAC.
    All,
}

/// One input.
#[derive(Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub place: Place,
    /// Whether it waits for a sender that connects.
    pub listens: bool,
    /// Whether it is read no faster than it plays.
    pub is_paced: bool,
}

/// Where an input is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of this machine, which is read again and again.
    File(PathBuf),
    /// Somewhere in the network.
    Url {
        /// How it is spoken to.
        scheme: &'static Scheme,
        /// All of it.
        url: String,
    },
}

/// A way to speak to an input.
#[derive(Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Its name in URLs.
    pub name: &'static str,
    /// What ffmpeg may speak for it, and for what the input refers to.
    pub protocols: &'static str,
    /// The TCP port where the URL names none; none = it does not use TCP.
    pub tcp_port: Option<u16>,
    /// Whether it can be told to wait for a sender, and by which arguments of ffmpeg.
    pub listen: Option<[&'static str; 2]>,
    /// Whether it may refer to other hosts and ports, as playlists and redirects do.
    pub refers: bool,
}

/// What a file may be spoken to by.
pub const FILE_PROTOCOLS: &str = "file";

/// Every scheme of an input. None of them leads to a file, or puts bytes together.
pub const SCHEMES: [Scheme; 10] = [
    Scheme::new("udp", "udp", None),
    Scheme::new("rtp", "rtp,udp", None),
    Scheme::new("srt", "srt", None),
    Scheme::new("rtsp", "rtsp,rtp,udp,tcp", Some(554)).listening(["-rtsp_flags", "listen"]),
    Scheme::new("rtsps", "rtsps,rtsp,rtp,udp,tcp,tls", Some(322)),
    Scheme::new("rtmp", "rtmp,tcp", Some(1935)).listening(["-listen", "1"]),
    Scheme::new("rtmps", "rtmps,rtmp,tcp,tls", Some(443)),
    Scheme::new("http", "http,https,tcp,tls,crypto", Some(80)).referring(),
    Scheme::new("https", "http,https,tcp,tls,crypto", Some(443)).referring(),
    Scheme::new("tcp", "tcp", Some(0)),
];

impl Scheme {
    const fn new(name: &'static str, protocols: &'static str, tcp_port: Option<u16>) -> Self {
        Self { name, protocols, tcp_port, listen: None, refers: false }
    }

    const fn listening(mut self, by: [&'static str; 2]) -> Self {
        self.listen = Some(by);
        self
    }

    const fn referring(mut self) -> Self {
        self.refers = true;
        self
    }

    /// The one with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SCHEMES.iter().find(|scheme| scheme.name.eq_ignore_ascii_case(name))
    }
}

/// What stands between the scheme and the path: `user:password@host:port`.
#[must_use]
pub fn authority(url: &str) -> &str {
    let (_, behind) = url.split_once("://").unwrap_or(("", url));
    behind.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The host and the port of a URL, without a login.
#[must_use]
pub fn host(url: &str) -> &str {
    let authority = authority(url);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

impl Input {
    /// What ffmpeg may speak.
    #[must_use]
    pub fn protocols(&self) -> &'static str {
        match &self.place {
            Place::File(_) => FILE_PROTOCOLS,
            Place::Url { scheme, .. } => scheme.protocols,
        }
    }

    /// The TCP port that it connects to, or listens at. None if it uses no TCP.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        let Place::Url { scheme, url } = &self.place else { return None };
        let usual = scheme.tcp_port?;
        let port = host(url).rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Some(port.unwrap_or(usual))
    }

    /// Pieces of the URL that nobody should be shown: a login, a path, a query.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let Place::Url { url, .. } = &self.place else { return Vec::new() };
        let login = authority(url).rsplit_once('@').map(|(login, _)| login).unwrap_or_default();
        let behind = url.split_once("://").map_or("", |(_, behind)| behind);
        let path = behind.find(['/', '?', '#']).map_or("", |at| &behind[at..]);
        // Shorter ones are words that mean something else in most lines.
        let pieces = path.split(['/', '?', '&', '=', '#', ';']).filter(|one| one.len() > 4);
        let logins = login.split(':').chain([path, login]).filter(|one| one.len() > 3);
        let mut secrets: Vec<_> = pieces.chain(logins).collect();
        // What holds others goes first.
        secrets.sort_by_key(|one| std::cmp::Reverse(one.len()));
        secrets
    }
}

/// What people are shown: where it is, and no more.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Url { scheme, url } => {
                let host = host(url);
                let at = if authority(url).starts_with('@') { "@" } else { "" };
                let (_, behind) = url.split_once("://").unwrap_or_default();
                let has_more = behind.len() > authority(url).len();
                let more = if has_more { "/***" } else { "" };
                write!(f, "{}://{at}{host}{more}", scheme.name)
            }
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({self})")
    }
}

impl Inputs {
    /// When they are read, in the config's word.
    #[must_use]
    pub fn start(&self) -> &'static str {
        if self.on_demand { "on-demand" } else { "always" }
    }
}

/// How long segments and parts are that a child makes of a channel of these lengths, in
/// milliseconds.
#[must_use]
pub fn lengths_ms(segment_ms: Option<u64>, part_ms: Option<u64>) -> (u64, u64) {
    let segment = segment_ms.unwrap_or(CHILD_LENGTHS_MS.0);
    (segment, part_ms.unwrap_or(CHILD_LENGTHS_MS.1.min(segment)))
}

impl Encode {
    /// In the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Audio => "audio",
            Self::All => "all",
        }
    }

    /// Of the config's word.
    ///
    /// # Errors
    ///
    /// A sentence for any other word.
    pub fn from_word(word: &str) -> Result<Self, String> {
        let all = [Self::Nothing, Self::Audio, Self::All];
        let found = all.into_iter().find(|one| one.word() == word);
        found.ok_or_else(|| {
            format!("{word:?} is not known here (write \"none\", \"audio\" or \"all\")")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(url: &str) -> Input {
        let scheme = Scheme::find(url.split("://").next().unwrap()).unwrap();
        let place = Place::Url { scheme, url: url.to_owned() };
        Input { place, listens: false, is_paced: false }
    }

    #[test]
    fn where_an_input_is_is_shown_and_nothing_else_of_it() {
        let check = |url, shown, port| {
            let input = input(url);
            assert_eq!((input.to_string().as_str(), input.tcp_port()), (shown, port));
            assert_eq!(format!("{input:?}"), format!("Input({shown})"));
        };
        check("udp://@239.1.1.1:5000", "udp://@239.1.1.1:5000", None);
        check("udp://239.1.1.1:5000?fifo_size=9", "udp://239.1.1.1:5000/***", None);
        check(
            "https://user:word@cdn.example/live/a.m3u8?t=1",
            "https://cdn.example/***",
            Some(443),
        );
        check("http://[::1]:8080/x", "http://[::1]:8080/***", Some(8080));
        check("http://a@b@host:81", "http://host:81", Some(81));
        check("rtmp://host/app/key", "rtmp://host/***", Some(1935));
        check("srt://host:9000?passphrase=secret", "srt://host:9000/***", None);
        let file = Input { place: Place::File("/a/b.mp4".into()), listens: false, is_paced: true };
        assert_eq!((file.to_string().as_str(), file.tcp_port()), ("/a/b.mp4", None));
    }

    #[test]
    fn what_a_url_may_hide_is_told() {
        let input = input("http://me:word@host/live/user1/pass1/7.ts?token=abcdef");
        let path = "/live/user1/pass1/7.ts?token=abcdef";
        let secrets = [path, "me:word", "abcdef", "user1", "pass1", "token", "word"];
        assert_eq!(input.secrets(), secrets);
    }

    #[test]
    fn no_scheme_leads_to_files_or_puts_bytes_together() {
        let forbidden = ["file", "concat", "concatf", "subfile", "data", "pipe", "unix", "fd"];
        for scheme in &SCHEMES {
            assert!(scheme.protocols.split(',').all(|name| !forbidden.contains(&name)));
            assert!(scheme.protocols.split(',').any(|name| name == scheme.name));
        }
        for name in forbidden {
            assert!(Scheme::find(name).is_none());
        }
    }
}
