//! Boxes of ISO base media files (ISO/IEC 14496-12): taking them apart and putting them together.
//!
//! Pure. It knows the shape of a box and nothing of what is in it. The harness has a reader of its
//! own, so that a mistake in the server's is not made twice.

/// Four letters that say what a box is.
pub type Kind = [u8; 4];

/// One box.
#[derive(Clone, Copy, Debug)]
pub struct Boxed<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the bytes that were walked.
    pub start: usize,
    /// All of it, with its header.
    pub whole: &'a [u8],
    /// What follows the header.
    pub body: &'a [u8],
}

/// The boxes that lie one after the other in `bytes`.
pub fn boxes(bytes: &[u8]) -> impl Iterator<Item = Result<Boxed<'_>, String>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let found = first(bytes, at);
        // After an error there is nothing to go on with.
        at = found.as_ref().map_or(bytes.len(), |found| at + found.whole.len());
        Some(found)
    })
}

/// The only box of this kind in `bytes`.
pub fn one<'a>(bytes: &'a [u8], kind: &Kind) -> Result<Boxed<'a>, String> {
    let mut found = None;
    for next in boxes(bytes) {
        let next = next?;
        if next.kind == *kind && found.replace(next).is_some() {
            return Err(format!("more than one '{}' box", name(kind)));
        }
    }
    found.ok_or_else(|| format!("no '{}' box", name(kind)))
}

/// The kind as text.
pub fn name(kind: &Kind) -> String {
    String::from_utf8_lossy(kind).into_owned()
}

fn first(bytes: &[u8], start: usize) -> Result<Boxed<'_>, String> {
    let rest = &bytes[start..];
    let mut fields = Fields::new(rest);
    let short = fields.u32()?;
    let kind: Kind = fields.u32()?.to_be_bytes();
    let (size, header_size) = match short {
        // To the end of the file.
        0 => (rest.len() as u64, 8),
        1 => (fields.u64()?, 16),
        size => (u64::from(size), 8),
    };
    let size = usize::try_from(size).ok().filter(|size| (header_size..=rest.len()).contains(size));
    let size = size.ok_or_else(|| format!("the '{}' box at {start} is cut", name(&kind)))?;
    let whole = &rest[..size];
    Ok(Boxed { kind, start, whole, body: &whole[header_size..] })
}

/// Takes numbers from the front of a body.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// From the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte and the 24 bits after it: version and flags of a full box.
    pub fn version_and_flags(&mut self) -> Result<(u8, u32), String> {
        let word = self.u32()?;
        Ok((word.to_be_bytes()[0], word & 0x00ff_ffff))
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> Result<u32, String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("a box ends too early")?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*taken))
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> Result<u64, String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("a box ends too early")?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*taken))
    }

    /// The next 32 bits if they are there by `flags & flag`.
    pub fn u32_if(&mut self, flags: u32, flag: u32) -> Result<Option<u32>, String> {
        if flags & flag == 0 { Ok(None) } else { self.u32().map(Some) }
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), String> {
        self.0 = self.0.get(count..).ok_or("a box ends too early")?;
        Ok(())
    }
}

/// Appends a box; `fill` writes its body.
pub fn append(out: &mut Vec<u8>, kind: &Kind, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    fill(out);
    let size = u32::try_from(out.len() - start).expect("a source is at most 1 GiB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a box that begins with a version and flags.
pub fn append_full(
    out: &mut Vec<u8>,
    kind: &Kind,
    (version, flags): (u8, u32),
    fill: impl FnOnce(&mut Vec<u8>),
) {
    append(out, kind, |out| {
        put32(out, u32::from(version) << 24 | flags);
        fill(out);
    });
}

/// Appends 32 bits.
pub fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

/// Appends 64 bits.
pub fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_can_be_taken_apart() {
        let mut bytes = Vec::new();
        append(&mut bytes, b"free", |out| out.extend(b"abc"));
        append_full(&mut bytes, b"mfhd", (1, 5), |out| put32(out, 7));
        let kinds: Vec<_> = boxes(&bytes).map(|found| found.map(|found| found.kind)).collect();
        assert_eq!(kinds, [Ok(*b"free"), Ok(*b"mfhd")]);
        let mut fields = Fields::new(one(&bytes, b"mfhd").expect("it is there").body);
        assert_eq!(fields.version_and_flags(), Ok((1, 5)));
        assert_eq!(fields.u32(), Ok(7));
        assert!(fields.u32().is_err());
    }

    #[test]
    fn sizes_may_be_long_or_left_open() {
        let long = [&b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12"[..], b"xy"].concat();
        let open = b"\0\0\0\0mdatxyz";
        for (bytes, body) in [(&long[..], &b"xy"[..]), (open, b"xyz")] {
            assert_eq!(one(bytes, b"mdat").expect("it is whole").body, body);
        }
    }

    #[test]
    fn a_box_that_is_cut_ends_the_walk_with_an_error() {
        for bytes in [&b"\0\0\0\x10free"[..], b"\0\0\0\x04free", b"\0\0\0"] {
            let found: Vec<_> = boxes(bytes).collect();
            assert!(matches!(found[..], [Err(_)]), "{bytes:?}");
        }
    }
}
