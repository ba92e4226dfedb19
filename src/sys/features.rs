//! Newer features of the kernel that we use where they are, each of which can be switched off.
//!
//! `SHARDCAST_RING_FEATURES=-no_sqarray,-cachestat` switches two off, `-all` all of them. What is
//! left off is not missed: the kernel floor of 6.1 has everything that is needed.

/// Which optional features may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `cachestat(2)`, 6.5: residency of a whole stretch in one call; else it is sampled.
    pub cachestat: bool,
    /// A submission queue without its index array, 6.6: a little less memory traffic.
    pub no_sqarray: bool,
    /// The ring's descriptor registered, 5.18: one look-up less a call.
    pub registered_ring: bool,
}

/// Every name, in the order of `Features`.
pub const NAMES: [&str; 3] = ["cachestat", "no_sqarray", "registered_ring"];

impl Features {
    /// All of them.
    pub const ALL: Self = Self { cachestat: true, no_sqarray: true, registered_ring: true };

    /// What the value of `SHARDCAST_RING_FEATURES` leaves on.
    ///
    /// # Errors
    ///
    /// The name that is not one of ours.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut features = Self::ALL;
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, on) = match word.strip_prefix('-') {
                Some(name) => (name, false),
                None => (word.strip_prefix('+').unwrap_or(word), true),
            };
            match name {
                "all" => {
                    features = Self { cachestat: on, no_sqarray: on, registered_ring: on };
                }
                "cachestat" => features.cachestat = on,
                "no_sqarray" => features.no_sqarray = on,
                "registered_ring" => features.registered_ring = on,
                unknown => return Err(unknown.to_owned()),
            }
        }
        Ok(features)
    }

    /// What the environment leaves on; an unknown name there changes nothing, `doctor` names it.
    #[must_use]
    pub fn from_environment() -> Self {
        std::env::var("SHARDCAST_RING_FEATURES")
            .ok()
            .and_then(|value| Self::parse(&value).ok())
            .unwrap_or(Self::ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_switched_off_by_name() {
        let features = Features::parse("-no_sqarray, -cachestat").unwrap();
        assert_eq!(features, Features { no_sqarray: false, cachestat: false, ..Features::ALL });
        let none = Features::parse("-all").unwrap();
        assert!(!none.no_sqarray && !none.registered_ring && !none.cachestat);
        assert_eq!(Features::parse("-warp"), Err("warp".to_owned()));
    }
}
