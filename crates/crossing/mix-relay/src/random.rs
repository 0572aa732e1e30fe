//! Random choice without bias.

/// Source of random numbers: the operating system in production, a seeded one in tests.
pub(crate) trait Random {
    /// Returns 64 random bits.
    fn bits(&mut self) -> u64;

    /// Returns a random number below `bound`, each with the same probability. `bound` is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        // The rest of the division would make low numbers likelier, so its bits are not used.
        let usable = u64::MAX - u64::MAX % bound;
        loop {
            let bits = self.bits();
            if bits < usable {
                return usize::try_from(bits % bound).expect("it is below a number of this type");
            }
        }
    }

    /// Puts values into a random order, each order with the same probability (Fisher and Yates).
    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last + 1);
            values.swap(last, other);
        }
    }
}

/// Random numbers of the operating system.
#[derive(Debug)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn bits(&mut self) -> u64 {
        getrandom::u64().expect("the operating system gives random bytes")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// SplitMix64, the same on every run.
    pub(crate) struct Seeded(pub(crate) u64);

    impl Random for Seeded {
        fn bits(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        }
    }

    #[test]
    fn every_order_of_three_is_as_likely() {
        let mut random = Seeded(1);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut values = [1, 2, 3];
            random.shuffle(&mut values);
            *counts.entry(values).or_insert(0_u32) += 1;
        }
        // 1000 each, with a standard deviation of 29.
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    /// Gives these bits, one after the other.
    struct Given(Vec<u64>);

    impl Random for Given {
        fn bits(&mut self) -> u64 {
            self.0.pop().expect("bits are left")
        }
    }

    #[test]
    fn bits_that_would_favour_low_numbers_are_not_used() {
        // 2^64 - 1 is a multiple of 3, so the largest number alone is left over.
        assert_eq!(Given(vec![4, u64::MAX]).below(3), 1);
        assert_eq!(Given(vec![u64::MAX - 1]).below(3), 2);
        assert_eq!(SystemRandom.below(1), 0);
    }
}
