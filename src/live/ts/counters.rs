//! Continuity counters of what is published: packets in their order in, numbered packets out.
//!
//! A stream that is put together of several requests, or of several encoders' runs, has to count on
//! from one to the next (ISO/IEC 13818-1, 2.4.3.3). What an encoder lost within a chunk stays
//! visible as a step in the counter, so that decoders know of it.

use super::PACKET_SIZE;

/// Packet identifiers that are counted. A programme has a picture, a few sounds, and tables.
const PIDS_MAX: usize = 64;

/// Numbers packets.
#[derive(Debug, Default)]
pub struct Counters {
    /// Identifiers and the number that their next payload gets.
    next: Vec<(u16, u8)>,
}

impl Counters {
    /// Numbers whole packets, which stand one behind the other. `is_anew`: their clock does not go
    /// on from what was numbered before, and they say so.
    pub fn number(&mut self, packets: &mut [u8], is_anew: bool) {
        // Identifiers of this chunk, and what is added to their numbers.
        let mut shifts: Vec<(u16, u8)> = Vec::new();
        for packet in packets.chunks_exact_mut(PACKET_SIZE) {
            let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
            let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
            let given = packet[3] & 0x0f;
            // The number of a packet without payload is that of the last one with it.
            let first = given.wrapping_add(u8::from(!has_payload));
            let shift = match shifts.iter().find(|(known, _)| *known == pid) {
                Some(&(_, shift)) => shift,
                None => {
                    let shift = self.next_of(pid).wrapping_sub(first);
                    shifts.push((pid, shift));
                    if is_anew && has_field && packet[4] > 0 {
                        packet[5] |= 0x80;
                    }
                    shift
                }
            };
            let number = given.wrapping_add(shift) & 0x0f;
            packet[3] = packet[3] & 0xf0 | number;
            if has_payload {
                self.set(pid, (number + 1) & 0x0f);
            }
        }
    }

    fn next_of(&self, pid: u16) -> u8 {
        self.next.iter().find(|(known, _)| *known == pid).map_or(0, |&(_, next)| next)
    }

    fn set(&mut self, pid: u16, next: u8) {
        match self.next.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, known)) => *known = next,
            None => {
                if self.next.len() == PIDS_MAX {
                    self.next.remove(0);
                }
                self.next.push((pid, next));
            }
        }
    }
}

/// Steps that are missing in the counters of these packets: (identifier, expected, found).
#[cfg(test)]
pub fn gaps(packets: &[u8]) -> Vec<(u16, u8, u8)> {
    let mut last: Vec<(u16, u8)> = Vec::new();
    let mut gaps = Vec::new();
    for packet in packets.chunks_exact(PACKET_SIZE) {
        assert_eq!(packet[0], super::SYNC, "a packet begins here");
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let (has_payload, number) = (packet[3] & 0x10 != 0, packet[3] & 0x0f);
        match last.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, before)) => {
                let expected = (*before + u8::from(has_payload)) & 0x0f;
                if number != expected {
                    gaps.push((pid, expected, number));
                }
                *before = number;
            }
            None => last.push((pid, number)),
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::ts::SYNC;

    /// A packet of an identifier with a number; `kind` is 1 with payload, 2 with a field, 3 both.
    fn packet(pid: u16, kind: u8, number: u8) -> [u8; PACKET_SIZE] {
        let mut packet = [0xff; PACKET_SIZE];
        let [high, low] = pid.to_be_bytes();
        packet[..6].copy_from_slice(&[SYNC, high, low, kind << 4 | number, 183, 0]);
        packet
    }

    #[test]
    fn numbers_go_on_from_chunk_to_chunk() {
        let mut counters = Counters::default();
        let mut all = Vec::new();
        for (first, second) in [(0, 7), (3, 3), (15, 0), (9, 9)] {
            let mut chunk = Vec::new();
            for at in 0..20 {
                chunk.extend(packet(256, 3, (first + at) & 15));
                chunk.extend(packet(257, 1, (second + at) & 15));
                // Without payload: the number stays.
                chunk.extend(packet(256, 2, (first + at) & 15));
            }
            counters.number(&mut chunk, false);
            all.extend(chunk);
        }
        assert_eq!(gaps(&all), []);
    }

    #[test]
    fn what_was_lost_within_a_chunk_stays_visible() {
        let mut counters = Counters::default();
        let mut chunk = [packet(256, 1, 4), packet(256, 1, 5), packet(256, 1, 7)].concat();
        counters.number(&mut chunk, false);
        assert_eq!(gaps(&chunk), [(256, 2, 3)]);
    }

    #[test]
    fn a_break_is_said_once_an_identifier() {
        let mut counters = Counters::default();
        let mut chunk = [packet(256, 3, 0), packet(257, 3, 0), packet(256, 3, 1)].concat();
        counters.number(&mut chunk, true);
        let said: Vec<_> = chunk.chunks(PACKET_SIZE).map(|packet| packet[5] >> 7).collect();
        assert_eq!(said, [1, 1, 0]);
    }
}
