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

/// Setting `time_zone` of the gateway or of a source: the zone that counts, and its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "TimeZone", into = "TimeZone")]
#[schemars(with = "TimeZone")]
pub struct ZoneSetting(pub Tz, ZoneOrigin);

/// Origin of a time zone that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneOrigin {
    /// The section's own `time_zone`.
    Written,
    /// The `time_zone` at the top of the configuration file.
    Inherited,
    /// No `time_zone` anywhere: [`TimeZone::default`].
    Assumed,
}

impl Default for ZoneSetting {
    fn default() -> Self {
        Self(TimeZone::default().0, ZoneOrigin::Assumed)
    }
}

impl ZoneSetting {
    /// Takes over the gateway's zone, unless the section has a zone of its own.
    pub fn inherit(&mut self, gateway: Self) {
        if self.1 == ZoneOrigin::Written {
            return;
        }
        let origin = match gateway.1 {
            ZoneOrigin::Assumed => ZoneOrigin::Assumed,
            ZoneOrigin::Written | ZoneOrigin::Inherited => ZoneOrigin::Inherited,
        };
        *self = Self(gateway.0, origin);
    }

    /// Origin of the zone.
    #[must_use]
    pub const fn origin(&self) -> ZoneOrigin {
        self.1
    }
}

impl From<TimeZone> for ZoneSetting {
    fn from(zone: TimeZone) -> Self {
        Self(zone.0, ZoneOrigin::Written)
    }
}

impl From<ZoneSetting> for TimeZone {
    fn from(setting: ZoneSetting) -> Self {
        Self(setting.0)
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

    #[test]
    fn a_section_takes_the_gateways_zone_unless_it_has_its_own() {
        let written = |zone| ZoneSetting::from(TimeZone(zone));
        let inherited = |mut section: ZoneSetting, gateway| {
            section.inherit(gateway);
            section
        };
        let absent = ZoneSetting::default();
        let gateway = written(Tz::Asia__Vladivostok);
        let taken = inherited(absent, gateway);
        assert_eq!(
            (taken.0, taken.origin()),
            (Tz::Asia__Vladivostok, ZoneOrigin::Inherited)
        );
        let own = written(Tz::Asia__Omsk);
        assert_eq!(inherited(own, gateway), own);
        let assumed = inherited(absent, absent);
        assert_eq!(
            (assumed.0, assumed.origin()),
            (Tz::Europe__Moscow, ZoneOrigin::Assumed)
        );
    }
}
