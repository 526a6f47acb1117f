//! What every verb is given besides its input: the time, and chance.

use framefair_domain::time::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One call of a verb. Tests seed it; edges draw it from the system.
#[derive(Debug)]
pub struct Call {
    pub now: Timestamp,
    chance: StdRng,
}

impl Call {
    pub fn new(now: Timestamp, seed: [u8; 32]) -> Call {
        Call { now, chance: StdRng::from_seed(seed) }
    }

    /// The present, and the system's own entropy. For edges only.
    pub fn live() -> Call {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Call::new(Timestamp(since), rand::rng().random())
    }

    pub fn entropy<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.chance.fill(&mut bytes[..]);
        bytes
    }

    pub fn lot(&mut self) -> u64 {
        self.chance.random()
    }
}
