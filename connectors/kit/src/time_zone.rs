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
            if let Some(fixed) = fixed_zone(&name) {
                return format!(
                    "an offset is no time zone; write a place's name, such as `Europe/Moscow`, or \
                     `{fixed}` for this very offset all the year"
                );
            }
            match nearest(&name) {
                Some(near) => format!("no such time zone; write an IANA name, perhaps `{near}`"),
                None => "no such time zone; write an IANA name, such as `Europe/Moscow`".to_owned(),
            }
        })
    }
}

/// Zone of an offset from UTC, such as `+03:00` or `UTC+3`; the sign in a zone's name is the other
/// one. Of an offset that is no whole hour an example.
fn fixed_zone(offset: &str) -> Option<String> {
    const EXAMPLE: &str = "Etc/GMT-3";
    let upper = offset.trim().to_uppercase();
    let rest = ["UTC", "GMT"]
        .into_iter()
        .find_map(|word| upper.strip_prefix(word))
        .unwrap_or(&upper)
        .trim_start();
    let east = rest.starts_with('+');
    let hours = rest.strip_prefix(['+', '-', '\u{2212}'])?;
    if !hours.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let whole = hours.strip_suffix(":00").or_else(|| {
        let is_long = hours.len() == 4;
        hours.strip_suffix("00").filter(|_| is_long)
    });
    let hour: Option<u8> = whole.unwrap_or(hours).parse().ok();
    let zone = hour.map(|hour| format!("Etc/GMT{}{hour}", if east { '-' } else { '+' }));
    let known = zone.filter(|zone| zone.parse::<Tz>().is_ok());
    Some(known.unwrap_or_else(|| EXAMPLE.to_owned()))
}

/// The zone whose name is nearest to what was written, if it is near enough: one whose last part
/// it is comes first, and a name without a slash is compared with the last parts.
fn nearest(written: &str) -> Option<&'static str> {
    const NEAR_ENOUGH: f64 = 0.75;
    let written = written.trim().replace(' ', "_");
    let is_part = !written.contains('/');
    let compared = |name: &'static str| match name.rsplit_once('/') {
        Some((_, last)) if is_part => last,
        _ => name,
    };
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    // Names without a slash are old abbreviations, some of which are of another continent.
    let places = || names().filter(|name| name.contains('/'));
    if let Some(same) = places().find(|name| compared(name).eq_ignore_ascii_case(&written)) {
        return Some(same);
    }
    let likeness = |name: &'static str| strsim::jaro(compared(name), &written);
    let near = places().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(near) >= NEAR_ENOUGH).then_some(near)
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
    fn a_zone_that_is_written_in_another_way_is_understood_enough_to_name_it() {
        for (written, suggested) in [
            ("Moscow", "perhaps `Europe/Moscow`"),
            ("moscow", "perhaps `Europe/Moscow`"),
            ("Moskow", "perhaps `Europe/Moscow`"),
            ("europe/moscow", "perhaps `Europe/Moscow`"),
            ("New York", "perhaps `America/New_York`"),
            ("+03:00", "`Etc/GMT-3` for this very offset"),
            ("UTC+5", "`Etc/GMT-5` for this very offset"),
            ("GMT-03", "`Etc/GMT+3` for this very offset"),
            ("-0300", "`Etc/GMT+3` for this very offset"),
            ("+05:30", "such as `Europe/Moscow`"),
            ("MSK", "such as `Europe/Moscow`"),
            ("", "such as `Europe/Moscow`"),
        ] {
            let error = TimeZone::try_from(written.to_owned()).unwrap_err();
            assert!(error.contains(suggested), "{written}: {error}");
        }
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
