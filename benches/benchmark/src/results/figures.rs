//! Named samples.

use std::collections::BTreeMap;

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

    /// The samples of this name; none where it was not measured.
    pub(crate) fn of(&self, name: &str) -> Samples {
        self.0.get(name).cloned().unwrap_or_default()
    }
}
