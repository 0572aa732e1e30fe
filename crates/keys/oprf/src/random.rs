//! Random bytes of the operating system, in the form that the crate `voprf` asks for.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// The operating system's random generator. Panics where it has no randomness to give.
pub(crate) struct OsRandom;

impl OsRandom {
    pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}

impl TryRng for OsRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(Self::bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(Self::bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
        Ok(())
    }
}

impl TryCryptoRng for OsRandom {}
