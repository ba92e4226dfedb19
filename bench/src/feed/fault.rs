//! Faults on command: which segment gets which. Pure; the same seed, the same faults.

use crate::load::random::Random;

/// What goes wrong with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed in the middle of a chunk.
    Kill,
    /// It ends early, as if that were all.
    Tear,
    /// It is sent twice.
    Duplicate,
    /// It comes after the next one.
    Late,
    /// It is sent twice, with other bytes the second time.
    Other,
}

/// All, with the words that stand for them.
pub const FAULTS: [(Fault, &str); 5] = [
    (Fault::Kill, "kill"),
    (Fault::Tear, "tear"),
    (Fault::Duplicate, "duplicate"),
    (Fault::Late, "late"),
    (Fault::Other, "other"),
];

impl Fault {
    /// The word for it.
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }
}

/// A fault and how probable it is for a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance(pub Fault, pub f64);

/// Reads `kill:0.01`.
pub fn chance(text: &str) -> Result<Chance, String> {
    let wrong = || format!("'{text}': write kill, tear, duplicate, late or other, ':' and 0 to 1");
    let (name, share) = text.split_once(':').ok_or_else(wrong)?;
    let fault = FAULTS.iter().find(|(_, known)| *known == name).ok_or_else(wrong)?.0;
    let share: f64 = share.parse().map_err(|_| wrong())?;
    if (0.0..=1.0).contains(&share) { Ok(Chance(fault, share)) } else { Err(wrong()) }
}

/// Which segments of a stream get a fault.
#[derive(Clone, Debug)]
pub struct Faults {
    chances: Vec<Chance>,
    seed: u64,
}

impl Faults {
    /// For one stream, numbered `index`. A segment has one fault at most, so that the chances of
    /// all may add up to 1.
    pub fn new(chances: &[Chance], seed: u64, index: usize) -> Self {
        let seed = Random::new(seed ^ (index as u64) << 32).next();
        Self { chances: chances.to_vec(), seed }
    }

    /// What happens to a segment, and a random number for where in it.
    pub fn draw(&self, number: u64) -> (Option<Fault>, Random) {
        let mut random = Random::new(self.seed ^ number.wrapping_mul(0x9e37_79b9));
        let drawn = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut below = 0.0;
        let mut fault = None;
        for Chance(kind, share) in &self.chances {
            below += share;
            if fault.is_none() && drawn < below {
                fault = Some(*kind);
            }
        }
        (fault, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_as_often_as_asked_and_the_same_again() {
        let faults = Faults::new(&[Chance(Fault::Kill, 0.1), Chance(Fault::Late, 0.3)], 7, 3);
        let drawn: Vec<_> = (0..10_000).map(|number| faults.draw(number).0).collect();
        let count = |fault| drawn.iter().filter(|drawn| **drawn == fault).count();
        assert!((900..1_100).contains(&count(Some(Fault::Kill))));
        assert!((2_850..3_150).contains(&count(Some(Fault::Late))));
        assert_eq!(faults.draw(17).0, drawn[17]);
    }

    #[test]
    fn a_chance_has_a_name_and_a_share() {
        assert_eq!(chance("tear:0.25"), Ok(Chance(Fault::Tear, 0.25)));
        for wrong in ["tear", "tear:2", "tear:-1", "torn:0.1", "tear:x", ""] {
            assert!(chance(wrong).is_err(), "{wrong}");
        }
    }
}
