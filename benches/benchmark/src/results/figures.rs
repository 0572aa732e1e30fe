//! Named samples.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::results::samples::Samples;

/// Named samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, Samples>);

impl Figures {
    /// Adds a sample.
    pub(crate) fn push(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    /// Adds a rate in records a second.
    pub(crate) fn push_rate(&mut self, name: &str, records: u64, took: Duration) {
        self.push(name, records as f64 / took.as_secs_f64());
    }

    /// Adds the part of a total that falls to each record.
    pub(crate) fn push_each(&mut self, name: &str, records: u64, total: f64) {
        self.push(name, total / records as f64);
    }

    /// The samples of this name; none where it was not measured.
    pub(crate) fn of(&self, name: &str) -> Samples {
        self.0.get(name).cloned().unwrap_or_default()
    }
}
