//! Logistic regression over standardised features, by stochastic gradient descent.

use crate::dice::Dice;

/// Number of times that all examples are gone through.
const ROUNDS: u32 = 12;

/// Length of the first steps; later ones are shorter.
const STEP: f32 = 0.02;

/// Share by which weights shrink at each step.
const DECAY: f32 = 0.001;

/// Learnt weights.
pub(super) struct Regression {
    mean: Vec<f32>,
    scale: Vec<f32>,
    weights: Vec<f32>,
    bias: f32,
}

impl Regression {
    /// Learns from examples.
    pub(super) fn learn(examples: &[(Vec<f32>, bool)]) -> Self {
        let width = examples.first().map_or(0, |example| example.0.len());
        let mut regression = Self {
            mean: vec![0.0; width],
            scale: vec![0.0; width],
            weights: vec![0.0; width],
            bias: 0.0,
        };
        regression.measure(examples);
        let standard: Vec<(Vec<f32>, f32)> = examples
            .iter()
            .map(|example| {
                let wanted = f32::from(u8::from(example.1));
                (regression.standard(&example.0), wanted)
            })
            .collect();
        let mut order: Vec<usize> = (0..standard.len()).collect();
        let mut dice = Dice::new(1);
        let mut step = STEP;
        for _ in 0..ROUNDS {
            dice.shuffle(&mut order);
            for place in &order {
                let example = &standard[*place];
                let miss = example.1 - probability(regression.sum(&example.0));
                regression.bias += step * miss;
                for (weight, value) in regression.weights.iter_mut().zip(&example.0) {
                    *weight += step * (miss * value - DECAY * *weight);
                }
            }
            step *= 0.8;
        }
        regression
    }

    /// Guess for one row.
    pub(super) fn guess(&self, values: &[f32]) -> bool {
        self.sum(&self.standard(values)) > 0.0
    }

    fn measure(&mut self, examples: &[(Vec<f32>, bool)]) {
        let count = examples
            .iter()
            .fold(0.0_f32, |count, _| count + 1.0)
            .max(1.0);
        for example in examples {
            for (mean, value) in self.mean.iter_mut().zip(&example.0) {
                *mean += value / count;
            }
        }
        for example in examples {
            let differences = example.0.iter().zip(&self.mean);
            for (scale, pair) in self.scale.iter_mut().zip(differences) {
                *scale += (pair.0 - pair.1).powi(2) / count;
            }
        }
        for scale in &mut self.scale {
            // A feature that is the same everywhere says nothing.
            *scale = if *scale > 1e-9 {
                scale.sqrt().recip()
            } else {
                0.0
            };
        }
    }

    fn standard(&self, values: &[f32]) -> Vec<f32> {
        let measures = self.mean.iter().zip(&self.scale);
        let standard = values.iter().zip(measures);
        standard
            .map(|(value, measure)| ((value - measure.0) * measure.1).clamp(-8.0, 8.0))
            .collect()
    }

    fn sum(&self, values: &[f32]) -> f32 {
        let products = self.weights.iter().zip(values);
        self.bias + products.map(|(weight, value)| weight * value).sum::<f32>()
    }
}

fn probability(sum: f32) -> f32 {
    1.0 / (1.0 + (-sum).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_tells_is_found_among_many_that_do_not() {
        let mut dice = Dice::new(3);
        let mut examples = |count| {
            let mut made: Vec<(Vec<f32>, bool)> = Vec::new();
            for _ in 0..count {
                let is_second = dice.below(2) == 1;
                let mut values: Vec<f32> = (0..50).map(|_| f32::from(dice.below(2) == 1)).collect();
                values[17] = if dice.below(10) == 0 {
                    0.5
                } else {
                    f32::from(is_second)
                };
                made.push((values, is_second));
            }
            made
        };
        let regression = Regression::learn(&examples(400));
        let guessed = examples(400);
        let right = guessed
            .iter()
            .filter(|one| regression.guess(&one.0) == one.1);
        assert!(right.count() > 360);
    }
}
