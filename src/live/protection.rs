//! How media is encrypted: what its header says, as playlists and manifests pass it on.
//!
//! Nothing is encrypted or decrypted here, and no key is known: which key it is (`tenc`) and what
//! each system of licences needs to find it (`pssh`) come with the header (ISO/IEC 23001-7, 8).
//! Only FairPlay has it in the playlist that an encoder pushes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::boxes::init::Init;
use super::boxes::{Fields, Kind};

/// Widevine's number.
const WIDEVINE: [u8; 16] = *b"\xed\xef\x8b\xa9\x79\xd6\x4a\xce\xa3\xc8\x27\xdc\xd5\x1d\x21\xed";

/// PlayReady's.
const PLAYREADY: [u8; 16] = *b"\x9a\x04\xf0\x79\x98\x40\x42\x86\xab\x92\xe6\x5b\xe0\x88\x5f\x95";

/// FairPlay's.
const FAIRPLAY: [u8; 16] = *b"\x94\xce\x86\xfb\x07\xff\x4f\x43\xad\xb8\x93\xd2\xfa\x96\x8c\xa2";

/// How FairPlay is called in playlists.
pub const FAIRPLAY_FORMAT: &str = "com.apple.streamingkeydelivery";

/// How URIs of its keys begin.
const FAIRPLAY_SCHEME: &str = "skd://";

/// Longest such URI, in bytes.
const FAIRPLAY_URI_SIZE_MAX: usize = 1024;

/// How what follows a header is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// `cenc`, `cbcs` and their like.
    pub scheme: Kind,
    /// Which key it is, unless its samples say otherwise.
    pub key: [u8; 16],
    /// Systems of licences, in the header's order.
    pub systems: Vec<System>,
}

/// A system of licences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Its number.
    pub id: [u8; 16],
    /// Its `pssh` box, whole.
    pub pssh: Box<[u8]>,
    /// What that box holds for it.
    pub data: Box<[u8]>,
}

impl Protection {
    /// Of a header; none if nothing of it is encrypted.
    #[must_use]
    pub fn of(init: &Init) -> Option<Self> {
        let encryption = init.tracks.iter().find_map(|track| track.sample.encryption)?;
        let systems = init.protection.iter().filter_map(|pssh| System::read(pssh));
        Some(Self { scheme: encryption.scheme, key: encryption.key, systems: systems.collect() })
    }

    /// FairPlay has its key there, as a playlist says. Gives whether that is news.
    pub fn name_fairplay(&mut self, uri: &str) -> bool {
        let system = System::fairplay(uri);
        if self.systems.contains(&system) {
            return false;
        }
        self.systems.retain(|one| one.fairplay_uri().is_none());
        self.systems.push(system);
        true
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let of = |system: &System| system.pssh.len() + system.data.len() + size_of::<System>();
        size_of::<Self>() + self.systems.iter().map(of).sum::<usize>()
    }

    /// How HLS calls its method (RFC 8216bis, 4.4.4.4): by counter, or by blocks.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match &self.scheme {
            b"cenc" | b"cens" => "SAMPLE-AES-CTR",
            _ => "SAMPLE-AES",
        }
    }
}

impl System {
    /// Reads a `pssh` box; one that can't be read is of no use to anybody.
    pub(super) fn read(pssh: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(b"pssh", pssh.get(8..)?);
        let (version, _) = fields.version(1).ok()?;
        let id = fields.array().ok()?;
        if version == 1 {
            let keys = usize::try_from(fields.u32().ok()?).ok()?;
            fields.bytes(keys.checked_mul(16)?).ok()?;
        }
        let size = usize::try_from(fields.u32().ok()?).ok()?;
        let data = fields.bytes(size).ok()?.into();
        Some(Self { id, pssh: pssh.into(), data })
    }

    /// FairPlay with its key there. It has no box in the header; so that it is kept as the others
    /// are, it gets one that holds the URI.
    fn fairplay(uri: &str) -> Self {
        let size = |of: usize| u32::try_from(of).unwrap_or(u32::MAX).to_be_bytes();
        let body = [&[0; 4][..], &FAIRPLAY, &size(uri.len()), uri.as_bytes()].concat();
        let pssh = [&size(8 + body.len())[..], b"pssh", &body].concat();
        Self { id: FAIRPLAY, pssh: pssh.into(), data: uri.as_bytes().into() }
    }

    /// Where FairPlay has its key, if that is what this says.
    #[must_use]
    pub fn fairplay_uri(&self) -> Option<&str> {
        let uri = str::from_utf8(&self.data).ok()?;
        (self.id == FAIRPLAY && is_fairplay_uri(uri)).then_some(uri)
    }

    /// `KEYFORMAT` and `URI` in HLS.
    #[must_use]
    pub fn key_format(&self) -> (String, String) {
        if let Some(uri) = self.fairplay_uri() {
            return (FAIRPLAY_FORMAT.to_owned(), uri.to_owned());
        }
        match self.id {
            // It wants its own object, which is text in UTF-16, instead of the box.
            PLAYREADY => (
                "com.microsoft.playready".to_owned(),
                format!("data:text/plain;charset=UTF-16;base64,{}", base64(&self.data)),
            ),
            id => (
                format!("urn:uuid:{}", Uuid(id)),
                format!("data:text/plain;base64,{}", base64(&self.pssh)),
            ),
        }
    }

    /// Its name for people, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        match self.id {
            WIDEVINE => Some("Widevine"),
            PLAYREADY => Some("PlayReady"),
            FAIRPLAY => Some("FairPlay"),
            _ => None,
        }
    }
}

/// Whether it says where FairPlay has a key, in letters that can stand between quotes.
#[must_use]
pub fn is_fairplay_uri(uri: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'&');
    uri.starts_with(FAIRPLAY_SCHEME)
        && uri.len() <= FAIRPLAY_URI_SIZE_MAX
        && uri.bytes().all(is_allowed)
}

/// As it stands in XML and URIs.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A number of 16 bytes, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Uuid(pub [u8; 16]);

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A header's, for tests.
#[cfg(test)]
pub fn sample(scheme: Kind) -> Protection {
    let pssh = |id: [u8; 16], data: &[u8]| {
        let size = u32::try_from(data.len()).unwrap();
        let body = [&[0; 4][..], &id, &size.to_be_bytes(), data].concat();
        let whole = u32::try_from(body.len() + 8).unwrap();
        System::read(&[&whole.to_be_bytes()[..], b"pssh", &body].concat()).unwrap()
    };
    let key = *b"0123456789abcdef";
    Protection { scheme, key, systems: vec![pssh(WIDEVINE, b"wv"), pssh(PLAYREADY, b"<pr/>")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairplay_is_kept_as_others_are() {
        let mut protection = sample(*b"cbcs");
        assert!(protection.name_fairplay("skd://a?b"));
        assert!(!protection.name_fairplay("skd://a?b"), "it is known");
        let system = protection.systems.last().unwrap();
        assert_eq!(System::read(&system.pssh).as_ref(), Some(system));
        let (format, uri) = system.key_format();
        assert_eq!((format.as_str(), uri.as_str()), (FAIRPLAY_FORMAT, "skd://a?b"));
        assert!(protection.name_fairplay("skd://c"), "another key");
        assert_eq!(protection.systems.len(), 3);
        for wrong in ["https://a", "skd://a\"b", "skd://a\n", "skd://\u{e9}", ""] {
            assert!(!is_fairplay_uri(wrong), "{wrong:?}");
        }
        // A header's own box is passed on as it is.
        let own = System { data: (*b"own").into(), ..System::fairplay("skd://a") };
        assert!(own.key_format().0.starts_with("urn:uuid:94ce86fb-"));
    }

    #[test]
    fn a_system_is_read_from_its_box() {
        let Protection { systems, .. } = sample(*b"cenc");
        assert_eq!(systems[0].name(), Some("Widevine"));
        assert_eq!(&*systems[1].data, b"<pr/>");
        // With the keys that it is for, and cut short anywhere.
        let body = [&[1, 0, 0, 0][..], &WIDEVINE, &[0, 0, 0, 1], &[7; 16], &[0, 0, 0, 1, 9]];
        let whole = [&b"\0\0\0\x39pssh"[..], &body.concat()].concat();
        assert_eq!(&*System::read(&whole).unwrap().data, [9]);
        for size in 0..whole.len() {
            assert_eq!(System::read(&whole[..size]), None, "{size}");
        }
        let mut many = whole;
        many[28..32].fill(0xff);
        assert_eq!(System::read(&many), None);
    }
}
