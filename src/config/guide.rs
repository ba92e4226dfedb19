//! Guides of others: what can be set of `[guide]`, and limits around what is imported.

use std::path::PathBuf;

use hyper::Uri;
use ipnet::IpNet;

use crate::units::{KIB, MIB};

pub mod settings;

/// How guides are taken from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guide {
    /// Milliseconds between two looks at a source that says nothing else.
    pub refresh_ms: u64,
    /// Most bytes that are fetched of a source, as they come.
    pub download_max: u64,
    /// Most bytes of XML that a source may hold, unpacked.
    pub unpacked_max: u64,
    /// Networks inside, from which guides may be fetched all the same.
    pub networks: Vec<IpNet>,
    /// Where files lie that sources may name; none = nowhere.
    pub folder: Option<PathBuf>,
}

impl Default for Guide {
    fn default() -> Self {
        Self {
            refresh_ms: 12 * 3_600_000,
            download_max: 512 * MIB as u64,
            unpacked_max: 4096 * MIB as u64,
            networks: Vec::new(),
            folder: None,
        }
    }
}

/// Sources of guides. Each costs a fetch now and then, and its channels in memory. Beyond it those
/// that come last in the order of their ids are not looked at, and say so.
pub const GUIDE_SOURCES_MAX: usize = 64;

/// Channels of one source. The largest public guide has 12,000. Beyond it the import fails.
pub const GUIDE_CHANNELS_MAX: usize = 50_000;

/// Names of one channel that are kept; further ones are left out.
pub const GUIDE_NAMES_MAX: usize = 16;

/// Programmes of one source: 10,000 channels have 4 million in ten days. Beyond it the import fails.
pub const GUIDE_PROGRAMMES_MAX: u64 = 16_000_000;

/// Longest piece of XML between two angle brackets, in bytes: a text, or a tag with its attributes.
/// What is longer is no guide, and the import fails.
pub const GUIDE_PIECE_SIZE_MAX: usize = MIB;

/// How deep elements may lie within each other; XMLTV has five levels. Beyond it the import fails.
pub const GUIDE_DEPTH_MAX: usize = 64;

/// Longest texts that are kept, in bytes; the rest is cut off.
pub const GUIDE_TEXT_SIZE_MAX: usize = 8 * KIB;
/// The same of titles, names, categories and whatever else is short.
pub const GUIDE_WORD_SIZE_MAX: usize = KIB;
/// Entries of a list of one programme (categories, people) that are kept.
pub const GUIDE_LIST_MAX: usize = 24;

/// Bytes of programmes of one channel that make a block of the store. Larger ones shrink better,
/// and smaller ones are read faster when only one hour is asked for.
pub const GUIDE_BLOCK_SIZE: usize = 24 * KIB;

/// Bytes of programmes that an import holds in memory, all channels together, for guides in the
/// order of time, where each channel comes again and again. At the limit the largest are written.
pub const GUIDE_HELD_SIZE_MAX: usize = 48 * MIB;
const _: () = assert!(GUIDE_HELD_SIZE_MAX >= 64 * GUIDE_BLOCK_SIZE, "blocks are whole mostly");

/// How many times as large as it came a guide may get when it is unpacked, once it is larger than
/// `GUIDE_RATIO_FROM`. XML of guides shrinks to a tenth, and to a fiftieth where it says little.
pub const GUIDE_RATIO_MAX: u64 = 200;
/// See `GUIDE_RATIO_MAX`, in bytes.
pub const GUIDE_RATIO_FROM: u64 = 16 * MIB as u64;

/// Largest dictionary of an xz file, in bytes, that is allocated: `xz -9` takes 64 MiB. Beyond it
/// the import fails.
pub const GUIDE_DICTIONARY_SIZE_MAX: u32 = 64 * MIB as u32;

/// Programmes that could not be taken, of which an import's report tells each by itself; the others
/// are counted.
pub const GUIDE_SKIPS_TOLD_MAX: usize = 20;

/// Longest programme, in seconds: 14 days. A longer one is no programme.
pub const GUIDE_PROGRAMME_SECONDS_MAX: u64 = 14 * 86_400;

/// Seconds that past programmes are kept where a channel has no archive, or a shorter one.
pub const GUIDE_PAST_SECONDS_MIN: u64 = 86_400;

/// Milliseconds for which what an import replaced is left to those who still read it.
pub const GUIDE_REPLACED_MS: u64 = 60_000;

/// Most minutes that a channel's programmes can be moved.
pub const GUIDE_SHIFT_MINUTES_MAX: i32 = 24 * 60;

/// Redirects that are followed when a guide is fetched, each looked at as the first address is.
pub const GUIDE_REDIRECTS_MAX: usize = 3;

/// Milliseconds for a connection, and for a head; and within which something of the body must come.
pub const GUIDE_PATIENCE_MS: u64 = 20_000;

/// Milliseconds for a whole download.
pub const GUIDE_DOWNLOAD_MS: u64 = 20 * 60_000;

/// Least milliseconds between two looks at a source.
pub const GUIDE_REFRESH_MS_MIN: u64 = 5 * 60_000;
/// And most: a week.
pub const GUIDE_REFRESH_MS_MAX: u64 = 7 * 86_400_000;

/// Longest answer to a question for programmes, in programmes; the rest is left out and it is said.
pub const GUIDE_PROGRAMMES_TOLD_MAX: usize = 5_000;

/// Questions to the guide that wait for its thread. Beyond it who asks is told 503.
pub const GUIDE_QUESTIONS_MAX: usize = 64;

/// Where a guide is, in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// The address that a text is.
    ///
    /// # Errors
    ///
    /// Why it is none that is fetched from.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("it {why} (write \"https://guide.example.org/all.xml.gz\")");
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("is not of http or https"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("has a login in it, which is not sent"));
        }
        if text.contains('#') || authority.host().is_empty() || authority.port_u16() == Some(0) {
            return Err(wrong("is no URL that can be fetched"));
        }
        Ok(Self(uri))
    }

    /// Where a redirect of it leads.
    ///
    /// # Errors
    ///
    /// Why it is not followed.
    pub fn redirected(&self, to: &str) -> Result<Self, String> {
        let text = match to {
            to if to.starts_with("//") => {
                format!("{}:{to}", self.0.scheme_str().unwrap_or_default())
            }
            to if to.starts_with('/') => {
                let scheme = self.0.scheme_str().unwrap_or_default();
                format!("{scheme}://{}{to}", self.authority())
            }
            to => to.to_owned(),
        };
        // What comes behind # is for browsers.
        let text = text.split('#').next().unwrap_or_default();
        let to = Self::of_text(text).map_err(|why| format!("it is redirected, and there {why}"))?;
        if self.is_tls() && !to.is_tls() {
            return Err("it is redirected from https to http, which is not followed".to_owned());
        }
        Ok(to)
    }

    /// Whether it is fetched over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Its host, without the brackets of IPv6 addresses.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// What the field `Host` says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", |target| target.as_str())
    }
}

/// Whether a text names a file below `guide.folder`: no way out of it, and nothing hidden.
#[must_use]
pub fn is_file_name(text: &str) -> bool {
    let is_good = |part: &str| !part.is_empty() && !part.starts_with('.');
    text.len() <= 1024 && text.split('/').all(is_good) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_to_fetch_and_nothing_else() {
        for (text, expected) in [
            ("http://epg/a.xml?b=c", Some(("epg", 80, "epg", "/a.xml?b=c"))),
            ("https://[::1]:99", Some(("::1", 99, "[::1]:99", "/"))),
            ("https://anna:secret@epg/", None),
            ("file:///etc/passwd", None),
            ("ftp://epg/", None),
            ("data:text/xml,<tv/>", None),
            ("http://epg:0/", None),
            ("http://epg/#a", None),
            ("/a", None),
            ("", None),
        ] {
            let address = Address::of_text(text).ok();
            let parts =
                address.as_ref().map(|of| (of.host(), of.port(), of.authority(), of.target()));
            assert_eq!(parts, expected, "{text}");
        }
    }

    #[test]
    fn redirects_lead_to_addresses_only_and_not_out_of_tls() {
        let from = |text: &str, to: &str| {
            let address = Address::of_text(text).unwrap().redirected(to).ok();
            address.map(|of| format!("{} {} {}", of.is_tls(), of.authority(), of.target()))
        };
        let plain = |to: &str| from("http://epg:81/a/b", to);
        assert_eq!(plain("/c?d").as_deref(), Some("false epg:81 /c?d"));
        assert_eq!(plain("//other/c").as_deref(), Some("false other /c"));
        assert_eq!(plain("https://other/c#x").as_deref(), Some("true other /c"));
        assert_eq!(plain("file:///etc/passwd"), None);
        assert_eq!(plain("gopher://other/"), None);
        assert_eq!(plain("c"), None);
        assert_eq!(from("https://epg/", "http://epg/"), None);
    }

    #[test]
    fn a_file_is_named_below_its_folder() {
        for (text, expected) in [
            ("guide.xml.gz", true),
            ("de/guide.xml", true),
            ("../guide.xml", false),
            ("/etc/passwd", false),
            ("a//b", false),
            ("a/./b", false),
            (".hidden", false),
            ("", false),
            ("a\0b", false),
        ] {
            assert_eq!(is_file_name(text), expected, "{text}");
        }
    }
}
