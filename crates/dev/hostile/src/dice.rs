//! Random numbers that a seed decides (SplitMix64, Steele et al. 2014).

/// State of the generator.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Generator whose numbers this seed decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Next number, of 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Number from 0 and below `sides`.
    pub fn below(&mut self, sides: u32) -> u32 {
        let number = self.next() % u64::from(sides.max(1));
        u32::try_from(number).expect("it is below a number of 32 bits")
    }

    /// Number from 0 and below `length`, a place in a list.
    pub fn place(&mut self, length: usize) -> usize {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.below(length.max(1)) as usize
    }

    /// Brings a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.place(end + 1);
            list.swap(end, other);
        }
    }
}
