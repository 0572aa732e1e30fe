//! A time zone in a configuration file, shared by every connector and the gateway.

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time zone by its IANA name, such as `Europe/Moscow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TimeZone(pub Tz);

impl Default for TimeZone {
    /// Moscow.
    fn default() -> Self {
        Self(Tz::Europe__Moscow)
    }
}

impl TryFrom<String> for TimeZone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse().map(Self).map_err(|_| {
            let near = chrono_tz::TZ_VARIANTS
                .iter()
                .max_by(|a, b| {
                    strsim::jaro(a.name(), &name).total_cmp(&strsim::jaro(b.name(), &name))
                })
                .map_or("Europe/Moscow", |zone| zone.name());
            format!("no such time zone; write an IANA name, perhaps `{near}`")
        })
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.0.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_zone_is_answered_with_the_nearest_known_one() {
        assert_eq!(
            TimeZone::try_from("Asia/Yekaterinburg".to_owned()),
            Ok(TimeZone(Tz::Asia__Yekaterinburg))
        );
        let error = TimeZone::try_from("Europe/Moskow".to_owned()).unwrap_err();
        assert!(error.contains("Europe/Moscow"), "{error}");
    }
}
