//! Bits of parameter sets and configurations, the highest of each byte first (ISO/IEC 14496-10, 7.2
//! and 9.1).

/// Reads bits.
#[derive(Clone, Debug)]
pub struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Bits<'b> {
    /// From the first one.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits, 32 at most.
    pub fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for at in self.at..self.at + count {
            let byte = self.bytes.get(at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        Some(value)
    }

    /// Whether the next bit is set.
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// Passes over so many bits.
    pub fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// `ue(v)`; none beyond 31 leading zeros.
    pub fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }

    /// `se(v)`.
    pub fn signed_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.golomb()?);
        Some(if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 })
    }
}

/// The payload of a NAL unit: without the bytes that keep it from looking like a start code.
#[must_use]
pub fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_bit_by_bit() {
        // 1, 010, 011, 00100, 1 1111
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_1111, 0b1000_0000]);
        let read: Vec<_> = (0..4).map(|_| bits.golomb().unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3]);
        assert_eq!((bits.take(5), bits.flag()), (Some(31), Some(false)));
        let mut signed = Bits::new(&[0b0100_1100, 0b1000_0101, 0b1000_0000]);
        let read: Vec<_> = (0..3).map(|_| signed.signed_golomb().unwrap()).collect();
        assert_eq!(read, [1, -1, 2]);
        assert_eq!(Bits::new(&[0; 5]).golomb(), None);
        assert_eq!(Bits::new(&[0]).take(9), None);
        let longest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Bits::new(&longest).golomb(), Some(u32::MAX - 1));
    }

    #[test]
    fn what_keeps_start_codes_away_is_left_out() {
        assert_eq!(unescaped(&[1, 0, 0, 3, 0, 0, 3, 1, 3]), [1, 0, 0, 0, 0, 1, 3]);
        assert_eq!(unescaped(&[0, 0, 0, 3]), [0, 0, 0]);
    }
}
