//! Retention: how long facts are kept, by the city's rules and a margin.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use contract::Fact;
use eligibility::{MAX_DAYS, Rules, last_use};
use linking::OpenBatch;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use settings::{SettingsError, mistake, read_regular_file};

use crate::passes::PassesConfig;

/// Largest file of rules, in bytes.
const MAX_RULES_BYTES: u64 = 1024 * 1024;

/// Number of days that facts are kept beyond their last use, where the file does not say.
const DEFAULT_EXTRA_DAYS: u32 = 365;

/// `[retention]`: facts expire once no pass can rest on them any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Number of days that a fact is kept after the last one on which a pass may rest on it, 0 to
    /// [`MAX_DAYS`]: the time in which the city may still lengthen its rules.
    #[serde(default = "default_extra_days", deserialize_with = "extra_days")]
    pub extra_days: u32,
    /// File of the city's rules, where `[passes]` does not name it; a relative path is taken from
    /// the configuration file's folder.
    #[serde(default)]
    pub rules: Option<PathBuf>,
}

impl RetentionConfig {
    /// File of the rules, or what is wrong with the section and what to write instead.
    pub(crate) fn rules_file<'a>(
        &'a self,
        passes: Option<&'a PassesConfig>,
    ) -> Result<&'a Path, RetentionMistake> {
        match (&self.rules, passes) {
            (Some(rules), None) => Ok(rules),
            (None, Some(passes)) => Ok(&passes.rules),
            (Some(_), Some(_)) => Err(RetentionMistake {
                what: "retention.rules is written beside passes.rules",
                help: "take retention.rules out: passes and retention go by the same rules",
            }),
            (None, None) => Err(RetentionMistake {
                what: "[retention] needs the city's rules",
                help: "write rules = \"pass-rules.toml\" in [retention]",
            }),
        }
    }
}

/// Mistake in `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionMistake {
    /// Clause that says what is wrong.
    pub what: &'static str,
    /// Clause that says what to write.
    pub help: &'static str,
}

const fn default_extra_days() -> u32 {
    DEFAULT_EXTRA_DAYS
}

fn extra_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if days <= MAX_DAYS {
        Ok(days)
    } else {
        Err(D::Error::custom(format!("write 0 to {MAX_DAYS}")))
    }
}

/// Rules by which facts are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    rules: Rules,
    extra_days: u32,
}

impl Retention {
    /// Keeps facts by these rules, and so many days longer.
    #[must_use]
    pub const fn new(rules: Rules, extra_days: u32) -> Self {
        Self { rules, extra_days }
    }

    /// Reads the rules; relative paths start from `base`.
    ///
    /// # Errors
    /// [`SettingsError`], saying what to change.
    pub fn read(
        config: &RetentionConfig,
        passes: Option<&PassesConfig>,
        base: &Path,
    ) -> Result<Self, SettingsError> {
        let file = config
            .rules_file(passes)
            .map_err(|wrong| mistake(Path::new("[retention]"), wrong.what, wrong.help))?;
        let path = base.join(file);
        let bytes = read_regular_file(&path, MAX_RULES_BYTES + 1)
            .map_err(|error| mistake(&path, error.to_string(), "name the file of the rules"))?;
        // What was cut off would be missing in the rules without a word.
        let whole = Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_RULES_BYTES);
        let text = whole.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else {
            let help = "name the file of the rules: UTF-8 text of at most 1 MiB";
            return Err(mistake(&path, "these are no rules", help));
        };
        Ok(Self::new(Rules::parse(&text, &path)?, config.extra_days))
    }

    /// Date in the city at a moment.
    #[must_use]
    pub fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        self.rules.date_at(now)
    }

    /// True where no pass has been able to rest on the fact for so many days as are set.
    pub(crate) fn is_outdated(&self, fact: &Fact, now: DateTime<Utc>) -> bool {
        let today = self.today(now);
        last_use(&self.rules, fact, today).is_over(fact, self.extra_days, today)
    }

    /// Notes which of a batch's facts are outdated.
    pub(crate) fn mark(&self, batch: &mut OpenBatch, now: DateTime<Utc>) {
        for event in &mut batch.events {
            let asserted = event.asserted.as_ref();
            event.is_outdated =
                asserted.is_some_and(|asserted| self.is_outdated(&asserted.fact, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_up_to_their_limit_and_not_beyond() {
        let read = |text: &str| settings::parse::<RetentionConfig>(text, Path::new("x"));
        assert_eq!(read("").unwrap().extra_days, 365);
        assert_eq!(read("extra_days = 0").unwrap().extra_days, 0);
        assert_eq!(read("extra_days = 36500").unwrap().extra_days, 36_500);
        assert!(read("extra_days = 36501").is_err());
    }

    #[test]
    fn the_rules_are_named_once() {
        let config = |rules: Option<&str>| RetentionConfig {
            extra_days: 0,
            rules: rules.map(PathBuf::from),
        };
        assert!(config(None).rules_file(None).is_err());
        let named = config(Some("rules.toml"));
        assert_eq!(named.rules_file(None), Ok(Path::new("rules.toml")));
    }
}
