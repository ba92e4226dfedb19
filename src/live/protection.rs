//! How media is encrypted: what its header says, as playlists and manifests pass it on.
//!
//! Nothing is encrypted or decrypted here, and no key is known: which key it is (`tenc`) and what
//! each system of licences needs to find it (`pssh`) come with the header (ISO/IEC 23001-7, 8).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::boxes::init::Init;
use super::boxes::{Fields, Kind};

/// Widevine's number.
const WIDEVINE: [u8; 16] = *b"\xed\xef\x8b\xa9\x79\xd6\x4a\xce\xa3\xc8\x27\xdc\xd5\x1d\x21\xed";

/// PlayReady's.
const PLAYREADY: [u8; 16] = *b"\x9a\x04\xf0\x79\x98\x40\x42\x86\xab\x92\xe6\x5b\xe0\x88\x5f\x95";

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

    /// `KEYFORMAT` and `URI` in HLS.
    #[must_use]
    pub fn key_format(&self) -> (String, String) {
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
            _ => None,
        }
    }
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
