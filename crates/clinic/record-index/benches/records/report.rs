//! The table of a benchmark: medians of all rounds, and ratios to the record index.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};

use crate::stores::StoreKind;

/// Figures of one size.
#[derive(Debug, Default)]
pub(crate) struct ComparisonTable {
    /// Figures in the order in which they are printed.
    lines: Vec<FigureLine>,
}

/// A figure of every store, a value a round.
#[derive(Debug)]
struct FigureLine {
    name: String,
    values: BTreeMap<StoreKind, Vec<f64>>,
}

impl ComparisonTable {
    /// Adds the figures of one measurement, lines of `value name`.
    pub(crate) fn add(&mut self, kind: StoreKind, printed: &str) -> Result<(), Box<dyn Error>> {
        for line in printed.lines() {
            let (value, name) = line.split_once(' ').ok_or("a line without a figure")?;
            let place = self.lines.iter().position(|line| line.name == name);
            let place = place.unwrap_or_else(|| {
                self.lines.push(FigureLine {
                    name: name.to_owned(),
                    values: BTreeMap::new(),
                });
                self.lines.len() - 1
            });
            self.lines[place]
                .values
                .entry(kind)
                .or_default()
                .push(value.parse()?);
        }
        Ok(())
    }

    /// Prints a Markdown table with a line for each figure. A ratio is a store's figure divided by
    /// that of the record index in the same round; its median is printed, then its range.
    pub(crate) fn print(&self, size: u64, out: &mut impl Write) -> io::Result<()> {
        write!(out, "\n| {size} records |")?;
        let kinds = self
            .lines
            .first()
            .map(|line| line.values.keys())
            .into_iter()
            .flatten();
        for kind in kinds.clone() {
            write!(out, " {} |", kind.name())?;
        }
        write!(out, "\n| --- |")?;
        for _ in kinds {
            write!(out, " ---: |")?;
        }
        writeln!(out)?;
        for line in &self.lines {
            let Some(own) = line.values.get(&StoreKind::RecordIndex) else {
                continue;
            };
            write!(out, "| {} |", line.name)?;
            for (kind, values) in &line.values {
                write!(out, " {}", rounded(median(values)))?;
                if *kind != StoreKind::RecordIndex {
                    write!(out, ", {}", ratio(values, own))?;
                }
                write!(out, " |")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Writes the median and the range of a figure's ratios, round by round.
fn ratio(values: &[f64], own: &[f64]) -> String {
    let ratios = values.iter().zip(own).map(|(value, own)| value / own);
    let mut ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    match ratios.as_slice() {
        [] => "–".to_owned(),
        [one] => format!("×{one:.2}"),
        [least, .., most] => format!("×{:.2} ({least:.2}–{most:.2})", median(&ratios)),
    }
}

/// Rounds to three digits, more or less.
fn rounded(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else if figure >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
