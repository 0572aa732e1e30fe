//! Simple classifier that tries to tell two clinics' records apart by everything that a registry's
//! database holds about them, order of rows and times aside.

mod chance;
mod features;
mod regression;
mod rows;

use std::collections::HashMap;

use contract::RecordDigest;

pub use chance::most_by_chance;
pub use rows::{Row, rows};

use features::Features;
use regression::Regression;

/// Row with the clinic that it is known to be from, or to be guessed for.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Row of a record.
    pub row: Row,
    /// Clinic of the record: the first of two, or the second.
    pub is_second: bool,
    /// Number of the person; all records of a person are learnt from, or all are guessed.
    pub person: u32,
}

/// Result of learning from one half of the persons' records and guessing the other half's clinics.
#[derive(Debug, Clone, Copy)]
pub struct Accuracy {
    /// Share of records that were guessed right.
    pub share: f64,
    /// Number of records that were guessed.
    pub guessed: u32,
}

impl Accuracy {
    fn of(right: usize, guessed: usize) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            share: f64::from(count(right)) / f64::from(count(guessed).max(1)),
            guessed: count(guessed),
        }
    }

    /// True unless more was guessed right than a fair coin does once in 10^9 runs.
    #[must_use]
    pub fn is_by_chance(&self) -> bool {
        let most = f64::from(most_by_chance(self.guessed));
        self.share * f64::from(self.guessed) <= most + 0.5
    }

    /// Largest share that chance reaches: four standard deviations above one half, which a fair
    /// coin exceeds once in 30,000 runs.
    #[must_use]
    pub fn chance(&self) -> f64 {
        0.5 + 4.0 * (0.25 / f64::from(self.guessed)).sqrt()
    }
}

/// Thing that is learnt from or guessed, as numbers.
#[derive(Debug, Clone)]
pub struct Example {
    /// Numbers that are made of it, always as many.
    pub values: Vec<f32>,
    /// Clinic that it is from: the first of two, or the second.
    pub is_second: bool,
    /// True where it is learnt from, false where its clinic is guessed.
    pub is_learnt: bool,
}

/// Learns from some examples, and guesses the clinics of the others.
#[must_use]
pub fn accuracy_of(all: &[Example]) -> Accuracy {
    let learnt = all.iter().filter(|one| one.is_learnt);
    let learnt: Vec<(Vec<f32>, bool)> = learnt
        .map(|one| (one.values.clone(), one.is_second))
        .collect();
    let regression = Regression::learn(&learnt);
    let guessed = || all.iter().filter(|one| !one.is_learnt);
    let right = guessed().filter(|one| regression.guess(&one.values) == one.is_second);
    Accuracy::of(right.count(), guessed().count())
}

/// Labels rows by the digests that two clinics' records have at the registry, each with its person.
#[must_use]
pub fn label(
    rows: Vec<Row>,
    records: &HashMap<RecordDigest, (bool, u32)>,
    stored: impl Fn(&RecordDigest) -> [u8; 32],
) -> Vec<Labelled> {
    let known: HashMap<[u8; 32], (bool, u32)> = records
        .iter()
        .map(|(record, label)| (stored(record), *label))
        .collect();
    let labelled = rows.into_iter().filter_map(|row| {
        let label = known.get(&row.record)?;
        Some(Labelled {
            row,
            is_second: label.0,
            person: label.1,
        })
    });
    labelled.collect()
}

/// Learns from the records of the persons with even numbers, and guesses those of the others.
#[must_use]
pub fn accuracy(all: &[Labelled]) -> Accuracy {
    let is_learnt = |one: &&Labelled| one.person.is_multiple_of(2);
    let learnt: Vec<&Labelled> = all.iter().filter(is_learnt).collect();
    let guessed: Vec<&Labelled> = all.iter().filter(|one| !is_learnt(one)).collect();
    let features = Features::of(all, &learnt);
    let examples: Vec<(Vec<f32>, bool)> = learnt
        .iter()
        .map(|one| {
            (
                features.values(&one.row, Some(one.is_second)),
                one.is_second,
            )
        })
        .collect();
    let regression = Regression::learn(&examples);
    let is_right =
        |one: &&&Labelled| regression.guess(&features.values(&one.row, None)) == one.is_second;
    let right = guessed.iter().filter(is_right).count();
    Accuracy::of(right, guessed.len())
}
