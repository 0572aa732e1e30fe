//! Settings that say what is read and what it means, which a server and a folder have in common.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use connector_kit::Feed;

use crate::config::{FeedName, FhirConfig, IdentifierName, RecoveredOn};
use crate::fact::MappingRules;

/// Settings of a source of FHIR resources that do not depend on where these lie.
#[derive(Clone, Copy)]
pub(crate) struct ContentSettings<'a> {
    pub feeds: &'a [FeedName],
    pub zone: Tz,
    pub recovered_on: RecoveredOn,
    pub identifier_systems: &'a BTreeMap<String, IdentifierName>,
    pub identifier_countries: &'a BTreeMap<String, String>,
    pub vaccine_codes: &'a [String],
    pub test_codes: &'a [String],
    pub diagnosis_codes: &'a [String],
}

impl ContentSettings<'_> {
    /// True if the feed is among `feeds`.
    pub(crate) fn reads(&self, feed: Feed) -> bool {
        self.feeds.iter().any(|name| Feed::from(*name) == feed)
    }

    /// Settings by which resources are mapped.
    pub(crate) const fn mapping_rules(&self) -> MappingRules {
        MappingRules {
            zone: self.zone,
            recovered_on: self.recovered_on,
        }
    }
}

impl<'a> From<&'a FhirConfig> for ContentSettings<'a> {
    fn from(config: &'a FhirConfig) -> Self {
        Self {
            feeds: &config.feeds,
            zone: config.time_zone.0,
            recovered_on: config.recovered_on,
            identifier_systems: &config.identifier_systems,
            identifier_countries: &config.identifier_countries,
            vaccine_codes: &config.vaccine_codes,
            test_codes: &config.test_codes,
            diagnosis_codes: &config.diagnosis_codes,
        }
    }
}
