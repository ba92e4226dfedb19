//! ISO base media file format boxes (ISO/IEC 14496-12, 4.2), as far as CMAF needs them.
//!
//! Bytes that an encoder sent in, facts out (`init`, `chunk`, `stream`). Everything is bounded, and
//! nothing is believed: a box that is larger than what it stands in, a count that does not fit its
//! box, a sum that overflows are errors. Used at ingest only: what is served follows our own index.

pub mod chunk;
pub mod codec;
pub mod init;
pub mod stream;
#[cfg(test)]
mod tests;

/// A box's type, four bytes.
pub type Kind = [u8; 4];

/// What is wrong with bytes that should be boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxError {
    /// They end before the box does, or a field does not fit its box.
    Short(Kind),
    /// Its size is below that of its header, or beyond what it stands in.
    Size(Kind),
    /// It is longer than is taken.
    TooLong(Kind),
    /// Its version is not known.
    Version(Kind),
    /// It says that it holds more than its size allows, or more than we take.
    Count(Kind),
    /// It must be there, and is not.
    Missing(Kind),
    /// It can't stand here, or not in this order.
    Misplaced(Kind),
    /// A sum of durations or sizes is beyond what its type holds.
    Overflow(Kind),
    /// Sample data lies outside of the media data that follows.
    Outside(Kind),
    /// A value that its field can't have.
    Value(Kind),
}

impl std::fmt::Display for BoxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, what) = match self {
            Self::Short(kind) => (kind, "is cut short"),
            Self::Size(kind) => (kind, "has a size that can't be"),
            Self::TooLong(kind) => (kind, "is longer than is taken"),
            Self::Version(kind) => (kind, "has a version that is not known"),
            Self::Count(kind) => (kind, "counts more than it holds, or than is taken"),
            Self::Missing(kind) => (kind, "is missing"),
            Self::Misplaced(kind) => (kind, "stands where it can't"),
            Self::Overflow(kind) => (kind, "adds up to more than its type holds"),
            Self::Outside(kind) => (kind, "points outside of its media data"),
            Self::Value(kind) => (kind, "has a value that can't be"),
        };
        write!(f, "box {} {what}", kind.escape_ascii())
    }
}

impl std::error::Error for BoxError {}

/// A box: its type, and what follows its header.
#[derive(Clone, Copy, Debug)]
pub struct Child<'b> {
    /// Its type.
    pub kind: Kind,
    /// What follows the header.
    pub body: &'b [u8],
}

/// Size of a box's header and of the whole box, from its first bytes.
///
/// None if those bytes do not say it yet. A size of 0, "to the end of the file", is an error: the
/// end of a stream is no place for anything.
///
/// # Errors
///
/// `Size`.
pub fn sizes(bytes: &[u8]) -> Result<Option<(usize, u64, Kind)>, BoxError> {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let [s0, s1, s2, s3, k0, k1, k2, k3] = *head;
    let kind = [k0, k1, k2, k3];
    let (header, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
        1 => {
            let Some(large) = rest.first_chunk::<8>() else { return Ok(None) };
            (16, u64::from_be_bytes(*large))
        }
        size => (8, u64::from(size)),
    };
    if size < header as u64 {
        return Err(BoxError::Size(kind));
    }
    Ok(Some((header, size, kind)))
}

/// The boxes that stand one behind the other in these bytes, which are all of `parent`'s.
pub fn children(parent: Kind, bytes: &[u8]) -> Children<'_> {
    Children { parent, rest: bytes }
}

/// See [`children`].
#[derive(Clone, Debug)]
pub struct Children<'b> {
    parent: Kind,
    rest: &'b [u8],
}

impl<'b> Iterator for Children<'b> {
    type Item = Result<Child<'b>, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        Some(match sizes(bytes) {
            Ok(Some((header, size, kind))) => match usize::try_from(size) {
                Ok(size) if size <= bytes.len() => {
                    self.rest = &bytes[size..];
                    Ok(Child { kind, body: &bytes[header..size] })
                }
                _ => Err(BoxError::Size(kind)),
            },
            Ok(None) => Err(BoxError::Short(self.parent)),
            Err(error) => Err(error),
        })
    }
}

/// The one box of this type among them.
///
/// # Errors
///
/// `Missing`, and what is wrong with those before it.
pub fn child<'b>(parent: Kind, bytes: &'b [u8], kind: &Kind) -> Result<&'b [u8], BoxError> {
    optional(parent, bytes, kind)?.ok_or(BoxError::Missing(*kind))
}

/// As [`child`], if there is one.
///
/// # Errors
///
/// What is wrong with those before it.
pub fn optional<'b>(
    parent: Kind,
    bytes: &'b [u8],
    kind: &Kind,
) -> Result<Option<&'b [u8]>, BoxError> {
    for child in children(parent, bytes) {
        let child = child?;
        if child.kind == *kind {
            return Ok(Some(child.body));
        }
    }
    Ok(None)
}

/// The fields of one box, read one after the other.
#[derive(Clone, Debug)]
pub struct Fields<'b> {
    kind: Kind,
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    /// Of a box of this type.
    #[must_use]
    pub fn new(kind: &Kind, body: &'b [u8]) -> Self {
        Self { kind: *kind, rest: body }
    }

    /// Version and flags, with which a full box begins.
    ///
    /// # Errors
    ///
    /// `Short`, or `Version` beyond the highest that is known.
    pub fn version(&mut self, highest: u8) -> Result<(u8, u32), BoxError> {
        let [version, f0, f1, f2] = self.array()?;
        if version > highest {
            return Err(BoxError::Version(self.kind));
        }
        Ok((version, u32::from_be_bytes([0, f0, f1, f2])))
    }

    /// So many bytes.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn bytes(&mut self, size: usize) -> Result<&'b [u8], BoxError> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(BoxError::Short(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    /// So many bytes, as an array.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], BoxError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(BoxError::Short(self.kind))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn u8(&mut self) -> Result<u8, BoxError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn u16(&mut self) -> Result<u16, BoxError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn u32(&mut self) -> Result<u32, BoxError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn u64(&mut self) -> Result<u64, BoxError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Four bytes in version 0, eight in a later one.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn u32_or_u64(&mut self, version: u8) -> Result<u64, BoxError> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// Text up to its NUL.
    ///
    /// # Errors
    ///
    /// `Short` without a NUL, `Value` if it is not UTF-8.
    pub fn text(&mut self) -> Result<&'b str, BoxError> {
        let end = memchr::memchr(0, self.rest).ok_or(BoxError::Short(self.kind))?;
        let text = str::from_utf8(&self.rest[..end]).map_err(|_| BoxError::Value(self.kind))?;
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }
}
