//! Random numbers that are the same in every attempt of a call, and in no other call.

use rand::{SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};

/// What the generators of one call start from.
pub(super) struct Seeds([u8; 32]);

impl Seeds {
    pub(super) fn of(idempotency_key: &str) -> Self {
        Self(Sha256::digest(idempotency_key).into())
    }

    pub(super) fn secure(&self) -> StdRng {
        StdRng::from_seed(self.0)
    }

    pub(super) fn insecure(&self) -> StdRng {
        let mut seed = self.0;
        seed.reverse();
        StdRng::from_seed(seed)
    }

    pub(super) fn seed(&self) -> u128 {
        self.0.iter().rev().take(16).fold(0, |seed, byte| seed << 8 | u128::from(*byte))
    }
}
