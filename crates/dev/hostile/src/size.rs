//! Sizes of the attacks: small where every change is tested, large where `scripts/soak` asks.

/// Factor by which the attacks are larger than their smallest size: `HOSTILE_SCALE`, from 1.
#[must_use]
pub fn scale() -> u32 {
    number("HOSTILE_SCALE").unwrap_or(1).clamp(1, 1000)
}

/// Seed of everything that is drawn: `HOSTILE_SEED`.
#[must_use]
pub fn seed() -> u64 {
    number("HOSTILE_SEED").unwrap_or(2021).into()
}

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}
