//! Several measurements of one thing: median, least and greatest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Measurements, one a repetition, in their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds the sample of the next repetition; what is no number (a division by nothing) is left
    /// out.
    pub(crate) fn push(&mut self, value: f64) {
        if value.is_finite() {
            self.0.push(value);
        }
    }

    /// Returns whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle sample; of an even number the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// Sample of the last repetition.
    pub(crate) fn latest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The greatest sample.
    pub(crate) fn greatest(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// Ratio of this to the other, repetition by repetition, so that the machine's drift cancels
    /// out. By the median of the other where the numbers of repetitions differ.
    pub(crate) fn over(&self, other: &Self) -> Self {
        if self.0.len() == other.0.len() {
            return Self(
                self.0
                    .iter()
                    .zip(&other.0)
                    .map(|(one, other)| one / other)
                    .collect(),
            );
        }
        if other.is_empty() {
            return Self::default();
        }
        self.times(1.0 / other.median())
    }

    /// Multiplies each sample.
    pub(crate) fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// One divided by each sample.
    pub(crate) fn inverse(&self) -> Self {
        Self(self.0.iter().map(|value| 1.0 / value).collect())
    }

    /// Sum with the other, repetition by repetition; nothing where their numbers differ.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        if self.0.len() != other.0.len() {
            return Self::default();
        }
        let both = self.0.iter().zip(&other.0);
        Self(both.map(|(one, other)| one + other).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// `median (least–greatest)`, each with three significant digits; a single one stands alone.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        match sorted.as_slice() {
            [] => f.write_str("–"),
            [only] => f.write_str(&short(*only)),
            [least, .., greatest] => {
                write!(
                    f,
                    "{} ({}–{})",
                    short(self.median()),
                    short(*least),
                    short(*greatest)
                )
            }
        }
    }
}

/// Three significant digits, thousands set apart by commas.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        small if small < 0.01 && small > 0.0 => 5,
        small if small < 0.1 && small > 0.0 => 4,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    let magnitude = value.abs().log10().floor();
    let unit = 10_f64.powf(magnitude - 2.0);
    grouped(&format!("{:.0}", (value / unit).round() * unit))
}

/// Commas between groups of three digits.
pub(crate) fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples(values.to_vec())
    }

    #[test]
    fn the_middle_of_odd_and_even_numbers_of_samples() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).to_string(), "2.00 (1.00–3.00)");
        assert_eq!(samples(&[4.0, 1.0]).to_string(), "2.50 (1.00–4.00)");
        assert_eq!(samples(&[0.5]).to_string(), "0.500");
        assert_eq!(samples(&[]).to_string(), "–");
        assert_eq!(samples(&[3.0, 1.0]).latest(), 1.0);
        assert!(samples(&[]).latest().is_nan());
    }

    #[test]
    fn ratios_are_of_the_same_repetition() {
        let ratio = samples(&[10.0, 30.0]).over(&samples(&[100.0, 100.0]));
        assert_eq!(ratio, samples(&[0.1, 0.3]));
        // A repetition failed: nothing belongs together any more.
        assert_eq!(
            samples(&[10.0]).over(&samples(&[20.0, 40.0, 80.0])),
            samples(&[0.25])
        );
        assert!(samples(&[10.0]).over(&samples(&[])).is_empty());
        assert_eq!(samples(&[1.5]).times(2.0).greatest(), 3.0);
        let sum = samples(&[2.0, 4.0]).inverse().plus(&samples(&[1.0, 2.0]));
        assert_eq!(sum, samples(&[1.5, 2.25]));
        assert!(samples(&[1.0]).plus(&samples(&[])).is_empty());
    }

    #[test]
    fn three_digits_count() {
        let shown = [
            0.0,
            0.001_234,
            0.012_34,
            0.1234,
            9.876,
            56.78,
            123.4,
            12_345.0,
            1_234_567.0,
        ]
        .map(short);
        assert_eq!(
            shown,
            [
                "0.000",
                "0.00123",
                "0.0123",
                "0.123",
                "9.88",
                "56.8",
                "123",
                "12,300",
                "1,230,000"
            ]
        );
    }
}
