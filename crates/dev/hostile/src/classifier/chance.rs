//! Bound on what a fair coin guesses right.

/// Probability with which a fair coin exceeds the bound.
const PROBABILITY: f64 = 1e-9;

/// Number of right guesses among so many that a fair coin exceeds with a probability below 10^-9, by
/// the binomial distribution. Of fewer than 30 guesses not even all of them are so unlikely: then it
/// is the number of guesses.
#[must_use]
pub fn most_by_chance(guesses: u32) -> u32 {
    let count = f64::from(guesses);
    // Logarithm of the probability that exactly so many are right, from all of them downwards.
    let mut exactly = -count * std::f64::consts::LN_2;
    let mut more = 0.0;
    for right in (0..=guesses).rev() {
        more += exactly.exp();
        if more >= PROBABILITY {
            return right;
        }
        let right = f64::from(right);
        exactly += right.ln() - (count - right + 1.0).ln();
    }
    guesses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_binomial_distribution() {
        // 2^-29 is 1.9 in 10^9, 2^-30 is 0.9 in 10^9.
        assert_eq!(most_by_chance(29), 29);
        assert_eq!(most_by_chance(30), 29);
        // Some six standard deviations above the half: 5 each of 100, 16 each of 1000.
        assert_eq!(most_by_chance(100), 79);
        assert_eq!(most_by_chance(1000), 595);
    }
}
