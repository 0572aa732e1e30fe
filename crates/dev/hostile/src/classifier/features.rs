//! Numbers made of a row: bits, bytes, sizes, and how often its values stand elsewhere.

use std::collections::HashMap;

use super::{Labelled, Row};

/// Length of each value that is looked at; a shorter or absent one is filled with zeros.
const LENGTHS: [usize; 5] = [16, 16, 16, 32, 8];

/// Number of low bits of a version that are compared with those of others as one value.
const LOW_BITS: [u32; 4] = [8, 12, 16, 32];

/// What is known of all rows, and of the clinics of those that are learnt from.
pub(super) struct Features {
    /// Number of rows with this value in this place.
    rows: HashMap<(usize, Vec<u8>), f32>,
    /// Number of learnt rows of each clinic with this value in this place.
    learnt: HashMap<(usize, Vec<u8>), [f32; 2]>,
}

impl Features {
    pub(super) fn of(all: &[Labelled], learnt: &[&Labelled]) -> Self {
        let mut features = Self {
            rows: HashMap::new(),
            learnt: HashMap::new(),
        };
        for one in all {
            for value in values(&one.row) {
                *features.rows.entry(value).or_default() += 1.0;
            }
        }
        for one in learnt {
            for value in values(&one.row) {
                features.learnt.entry(value).or_default()[usize::from(one.is_second)] += 1.0;
            }
        }
        features
    }

    /// Numbers of a row. A row that is learnt from does not count itself.
    pub(super) fn values(&self, row: &Row, learnt_as: Option<bool>) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(1200);
        numbers.push(f32::from(u8::from(row.is_withdrawn)));
        numbers.push(number(row.records));
        numbers.push(number(row.version));
        numbers.push(number(row.version).max(1.0).log2());
        add_bytes(&row.version.to_be_bytes(), 8, &mut numbers);
        add_bytes(&row.record, 32, &mut numbers);
        for (value, length) in row.values.iter().zip(LENGTHS) {
            add_bytes(value, length, &mut numbers);
        }
        for value in values(row) {
            let rows = self.rows.get(&value).copied().unwrap_or_default();
            let mut clinics = self.learnt.get(&value).copied().unwrap_or_default();
            if let Some(is_second) = learnt_as {
                clinics[usize::from(is_second)] -= 1.0;
            }
            let [first, second] = clinics;
            numbers.push(rows.min(16.0));
            numbers.push((second - first) / (second + first + 1.0));
        }
        numbers
    }
}

/// Values that may stand in several rows, each with its place.
fn values(row: &Row) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let low = LOW_BITS.map(|bits| (row.version & ((1 << bits) - 1)).to_be_bytes().to_vec());
    let high = LOW_BITS.map(|bits| (row.version >> bits).to_be_bytes().to_vec());
    let present = row.values.iter().cloned();
    present.chain(low).chain(high).enumerate()
}

/// Adds the bits and the bytes of a value, and the sum of its bits.
fn add_bytes(value: &[u8], length: usize, numbers: &mut Vec<f32>) {
    let mut ones: u8 = 0;
    for place in 0..length {
        let byte = value.get(place).copied().unwrap_or_default();
        numbers.push(f32::from(byte));
        for bit in 0..8 {
            let bit = byte >> bit & 1;
            numbers.push(f32::from(bit));
            ones = ones.saturating_add(bit);
        }
    }
    numbers.push(f32::from(ones));
}

#[expect(clippy::cast_precision_loss, reason = "a feature need not be exact")]
fn number(number: i64) -> f32 {
    number as f32
}
