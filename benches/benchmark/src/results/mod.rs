//! Results of a part of the benchmark: named samples for each size of clinic.

mod figures;
pub(crate) mod name;
pub(crate) mod samples;
pub(crate) mod single;
pub(crate) mod store;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::arguments::Part;
use crate::error::Error;
use crate::print;
pub(crate) use figures::Figures;
pub(crate) use samples::Samples;

/// A table that a part hands over as text: for what is not measured by size of clinic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextTable {
    /// Names of the columns.
    pub head: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

/// Results of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartResult {
    /// Part that was measured.
    pub part: Part,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Duration of the part in seconds.
    pub seconds: f64,
    /// Name and value of what the figures depend on.
    pub machine: Vec<(String, String)>,
    /// The settings it was run with.
    pub settings: Vec<(String, String)>,
    /// Failures, whose figures are missing.
    pub failures: Vec<String>,
    /// The disk's probes, all of this part.
    pub probes: Figures,
    /// Figures by number of records.
    pub sizes: BTreeMap<u64, Figures>,
    /// Figures that have no size.
    pub single: Figures,
    /// Texts beside the figures.
    pub table: TextTable,
}

impl PartResult {
    /// Makes results with nothing measured yet.
    pub(crate) fn new(part: Part, began_at: DateTime<Utc>, machine: Vec<(String, String)>) -> Self {
        Self {
            part,
            began_at,
            seconds: 0.0,
            machine,
            settings: Vec::new(),
            failures: Vec::new(),
            probes: Figures::default(),
            sizes: BTreeMap::new(),
            single: Figures::default(),
            table: TextTable::default(),
        }
    }

    /// Notes a failure, and goes on.
    pub(crate) fn fail(&mut self, what: &str, error: &Error) {
        let words = format!("{}, {what}: {error}", self.part);
        print::error(&words);
        // A page has room for a sentence, not for a program's last lines.
        self.failures
            .push(words.lines().next().unwrap_or_default().to_owned());
    }

    /// Runs a measurement of clinics of this size; its failure is noted and costs only its own
    /// figures.
    pub(crate) async fn step<T>(
        &mut self,
        records: u64,
        what: &str,
        work: impl AsyncFnOnce(&mut Figures) -> Result<T, Error>,
    ) -> Option<T> {
        print::progress(&format!("{}, {records} records: {what}", self.part));
        match work(self.sizes.entry(records).or_default()).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(&format!("{records} records, {what}"), &error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_step_is_noted_and_the_others_go_on() {
        let began_at = DateTime::from_timestamp(1, 0).unwrap();
        let mut result = PartResult::new(Part::Growth, began_at, Vec::new());
        let failing =
            async |_: &mut Figures| Err::<(), _>(Error::WrongResult("3 instead of 4\nmore".into()));
        assert_eq!(result.step(1000, "sync", failing).await, None);
        let going = async |figures: &mut Figures| {
            figures.push(name::SWEEP, 5.0);
            Ok(())
        };
        result.step(1000, "sweep", going).await.unwrap();
        assert_eq!(
            result.failures,
            ["growth, 1000 records, sync: the benchmark failed: 3 instead of 4"]
        );
        assert_eq!(result.sizes[&1000].of(name::SWEEP).median(), 5.0);
        // What is no number would make JSON that cannot be read again.
        result.single.push("x", f64::NAN);
        assert!(result.single.of("x").is_empty());
    }
}
