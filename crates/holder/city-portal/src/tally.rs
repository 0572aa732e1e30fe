//! Tally of citizens' requests since it was last taken: numbers, and nothing of a request.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::outcome::RequestOutcome;
use crate::route_names::CITIZEN_ROUTES;

/// Number of citizens' requests by route and by outcome, as the metrics name them. Files of a page
/// and addresses that do not exist are not counted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RequestTally(BTreeMap<&'static str, BTreeMap<&'static str, u64>>);

impl RequestTally {
    /// Counts a request.
    pub(crate) fn count(&mut self, route: &'static str, outcome: RequestOutcome) {
        if CITIZEN_ROUTES.contains(&route) {
            self.note(route, outcome.as_str(), 1);
        }
    }

    /// Adds another tally to this one.
    pub fn add(&mut self, other: Self) {
        for (route, outcomes) in other.0 {
            for (outcome, number) in outcomes {
                self.note(route, outcome, number);
            }
        }
    }

    /// Returns true if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, route: &'static str, outcome: &'static str, number: u64) {
        let outcomes = self.0.entry(route).or_default();
        *outcomes.entry(outcome).or_default() += number;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route_names::{CODES, OTHER, PAGE, STATUS};

    #[test]
    fn questions_are_counted_by_outcome_and_files_are_not() {
        let mut tally = RequestTally::default();
        tally.count(PAGE, RequestOutcome::Answered);
        tally.count(OTHER, RequestOutcome::NotFound);
        assert!(tally.is_empty());
        tally.count(STATUS, RequestOutcome::Answered);
        tally.count(CODES, RequestOutcome::Issued);
        let mut later = RequestTally::default();
        later.count(CODES, RequestOutcome::Issued);
        later.count(CODES, RequestOutcome::Ceiling);
        tally.add(later);
        let expected = json!({
            "/api/codes": { "ceiling": 1, "issued": 2 }, "/api/status": { "answered": 1 },
        });
        assert_eq!(serde_json::to_value(tally).expect("it is JSON"), expected);
    }
}
