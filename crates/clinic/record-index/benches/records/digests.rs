//! Records of the benchmark, made from their numbers.

use contract::{ContentDigest, RecordDigest};
use record_index::RecordState;
use record_secrets::Revision;

/// Returns a digest that is spread like a real one (splitmix64).
pub(crate) fn digest(record: u64) -> RecordDigest {
    let mut bytes = [0; 32];
    for (place, chunk) in (1..).zip(bytes.as_chunks_mut::<8>().0) {
        *chunk = mixed(record.wrapping_mul(4).wrapping_add(place)).to_be_bytes();
    }
    RecordDigest(bytes)
}

/// Returns the state of a record after so many versions.
pub(crate) fn state(record: u64, count: u32) -> RecordState {
    let mut content = [0; 16];
    content[..8].copy_from_slice(&mixed(record ^ u64::from(count) << 48).to_be_bytes());
    RecordState {
        feed_id: Some(1),
        stamp: Some(1_625_140_800_000_000 + record.cast_signed()),
        content: Some(ContentDigest(content)),
        revision: Revision {
            generation: 1,
            count,
        },
        withdrawn: false,
    }
}

/// Returns a number below `size`, different for every place below it if they share no divisor.
pub(crate) fn scattered(place: u64, size: u64) -> u64 {
    /// A prime, larger than a golden section of any size measured here.
    const STEP: u64 = 6_180_339_887_499;
    u64::try_from(u128::from(place) * u128::from(STEP) % u128::from(size)).unwrap_or(0)
}

fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
