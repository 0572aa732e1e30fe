//! The `[source.NAME]` section: a clinic system, its connector, its schedules and its policy.

use connector_kit::{ConnectorConfig, Feed, ZoneSetting};
use pseudonym::PolicyConfig;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::schedule::Schedule;

/// Writes the type of a `[source.NAME]` section from the list of connector kinds. Each kind is one
/// entry: the name of its section, in quotes behind it where that is no name of Rust's, and the
/// type that is read from the section and builds the connector; the type has a field `time_zone`.
/// An enum would say "exactly one of these" as well, but `serde(flatten)`, which it needs, undoes
/// `deny_unknown_fields`.
macro_rules! source_config {
    ($($(#[cfg($condition:meta)])? $(#[doc = $doc:tt])* $kind:ident $(= $name:literal)?:
        $config:ty,)*) => {
        /// A `[source.NAME]` section; exactly one of the connector sections must be there.
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct SourceConfig {
            /// Schedule of its pulls.
            #[serde(default, skip_serializing)]
            pub schedule: Schedule,
            /// Most records in one page, 1 to 10000; memory use grows with it. 3000 from a
            /// database, 1000 from a FHIR server or an export's files, whose resources are long.
            #[serde(default, skip_serializing)]
            pub page_records: Option<u32>,
            /// Schedule and pace of its sweeps, and how much may be withdrawn unasked.
            #[serde(default, skip_serializing)]
            pub sweep: SweepConfig,
            /// Treatment of a record that was sent, and whose row cannot be sent any more.
            #[serde(default, skip_serializing)]
            pub on_refused_correction: OnRefusedCorrection,
            /// Reading of local codes, and generalisation of dates.
            #[serde(default)]
            pub policy: PolicyConfig,
            $(
                $(#[cfg($condition)])?
                $(#[doc = $doc])*
                // Left out where it is absent, so that no other source's meaning has changed by it.
                $(#[serde(rename = $name, skip_serializing_if = "Option::is_none")])?
                pub $kind: Option<$config>,
            )*
        }

        impl SourceConfig {
            /// Names of all connector sections.
            pub const KINDS: &[&str] = &[$(
                $(#[cfg($condition)])?
                section_name!($kind $($name)?),
            )*];

            /// The connector sections that are present; exactly one is right.
            #[must_use]
            pub fn sections(&self) -> Vec<ConnectorSection<'_>> {
                let mut present = Vec::new();
                $($(#[cfg($condition)])?
                if let Some(config) = &self.$kind {
                    let name = section_name!($kind $($name)?);
                    present.push(ConnectorSection { name, config });
                })*
                present
            }

            /// Hands the gateway's time zone on to the connector sections that have none of their
            /// own.
            pub fn inherit_time_zone(&mut self, gateway: ZoneSetting) {
                $($(#[cfg($condition)])?
                if let Some(config) = &mut self.$kind {
                    config.time_zone.inherit(gateway);
                })*
            }

            /// Time zone in which the source's instants become dates.
            #[must_use]
            pub fn time_zone(&self) -> ZoneSetting {
                $($(#[cfg($condition)])?
                if let Some(config) = &self.$kind {
                    return config.time_zone;
                })*
                // Without a section the source is refused anyway.
                ZoneSetting::default()
            }
        }
    };
}

/// Name of the section of a kind of source.
macro_rules! section_name {
    ($kind:ident) => {
        stringify!($kind)
    };
    ($kind:ident $name:literal) => {
        $name
    };
}

source_config! {
    #[cfg(feature = "postgres")]
    /// A PostgreSQL database.
    postgres: connector_sql::PostgresConfig,
    #[cfg(feature = "mysql")]
    /// A MariaDB or MySQL database.
    mysql: connector_sql::MySqlConfig,
    /// An SQLite file.
    sqlite: connector_sql::SqliteConfig,
    /// A FHIR R4 server.
    fhir: connector_fhir::FhirConfig,
    /// A folder with the files of a FHIR R4 bulk export.
    fhir_folder = "fhir-folder": connector_fhir::FhirFolderConfig,
}

/// A connector section of a source, such as `[source.NAME.postgres]`.
pub struct ConnectorSection<'a> {
    /// Name of the section, which is the name of the kind.
    pub name: &'static str,
    /// Content of the section.
    pub config: &'a dyn ConnectorConfig,
}

/// Most rows a second that `rows_per_second` may be.
const MAX_ROWS_PER_SECOND: u32 = 1_000_000;

/// Longest pause between two pages of a sweep, in milliseconds.
const MAX_PAUSE_MS: u32 = 60_000;

/// The `[source.NAME.sweep]` section: all keys are read, so that what was deleted at the source is
/// withdrawn, and what its change stamps did not tell is read. Of a feed that has no stamp to trust
/// all rows are read whole, and what differs is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepConfig {
    /// When; every night by default. A sweep follows the next pull that reaches its end.
    pub schedule: Schedule,
    /// Most rows, or ids, a second that a sweep reads, 1 to 1000000; 0 for as many as the source
    /// gives.
    #[serde(deserialize_with = "rows_per_second")]
    #[schemars(range(max = 1_000_000))]
    pub rows_per_second: u32,
    /// Pause between two pages of a sweep, in milliseconds, up to 60000; 0 for none.
    #[serde(deserialize_with = "pause_ms")]
    #[schemars(range(max = 60_000))]
    pub pause_ms: u32,
    /// Share of a feed, 0 to 100 percent, of which more is not withdrawn unasked, by a sweep or for
    /// refused rows, if it is more than `always_allowed`, too.
    #[serde(deserialize_with = "percent")]
    #[schemars(range(max = 100))]
    pub max_withdrawn_percent: u8,
    /// Number of records that may always be withdrawn, whatever share they are.
    pub always_allowed: u32,
}

/// Reads a share in percent. Its range is said here, since a type of Rust has another one.
fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let percent = u8::try_from(number).ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| {
        D::Error::custom(
            "sweep.max_withdrawn_percent must be 0 to 100; 5 is a good value, 100 switches the \
             safety catch off",
        )
    })
}

/// Reads a number of rows a second.
fn rows_per_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let rows = u32::try_from(number).ok();
    let rows = rows.filter(|rows| *rows <= MAX_ROWS_PER_SECOND);
    rows.ok_or_else(|| {
        D::Error::custom(
            "sweep.rows_per_second must be 0 to 1000000; 5000 is gentle, 0 reads as fast as the \
             source gives",
        )
    })
}

/// Reads a pause in milliseconds.
fn pause_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let pause = u32::try_from(number).ok();
    let pause = pause.filter(|pause| *pause <= MAX_PAUSE_MS);
    pause.ok_or_else(|| {
        D::Error::custom(
            "sweep.pause_ms must be 0 to 60000; 100 is gentle, and rows_per_second makes a sweep \
             slower still",
        )
    })
}

/// Treatment of a record that was sent before, once its row cannot be sent as it is now, for
/// instance because of an unknown code or an impossible date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefusedCorrection {
    /// `"withdraw"`: the older version is withdrawn until the row is mended, within the limits of
    /// `sweep`; beyond them an operator is asked.
    #[default]
    Withdraw,
    /// `"keep"`: the older version stays at the registry, though the clinic says something else by
    /// now.
    Keep,
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self {
            schedule: Schedule::Cron("0 30 2 * * *".to_owned()),
            rows_per_second: 0,
            pause_ms: 0,
            max_withdrawn_percent: 5,
            always_allowed: 10,
        }
    }
}

impl SourceConfig {
    /// Most records in one page, as configured or by the kind of source.
    #[must_use]
    pub fn page_records(&self) -> u32 {
        let by_kind = || {
            let section = self.sections().into_iter().next();
            section.map(|section| section.config.default_page_records())
        };
        // Without a section the source is refused anyway.
        self.page_records.or_else(by_kind).unwrap_or(1)
    }

    /// Feeds that are configured.
    #[must_use]
    pub fn feeds(&self) -> Vec<Feed> {
        let section = self.sections().into_iter().next();
        section.map_or_else(Vec::new, |section| section.config.feeds())
    }

    /// Text of everything that decides which records are read and how they are transformed: when it
    /// changes, the source is read from its beginning. Schedule and page size are not part of it.
    ///
    /// # Errors
    /// None in practice: the section was read from text and can be written as text.
    pub fn meaning(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_its_feeds_without_a_server_or_a_secret() {
        for (text, feeds) in [
            (
                "[sqlite]\npath = \"mis.db\"\n[sqlite.tests]\nquery = \"SELECT 1\"\n",
                vec![Feed::Tests],
            ),
            (
                "[fhir]\nbase_url = \"https://mis.example/fhir\"\nfeeds = [\"recoveries\", \
                 \"vaccinations\"]\n",
                vec![Feed::Vaccinations, Feed::Recoveries],
            ),
            (
                "[fhir-folder]\npath = \"export\"\nfeeds = [\"tests\"]\n",
                vec![Feed::Tests],
            ),
        ] {
            let config: SourceConfig = toml::from_str(text).expect("a source's section");
            assert_eq!(config.feeds(), feeds, "{text}");
        }
    }

    #[test]
    fn a_pace_is_refused_beyond_its_limits_and_says_them() {
        let pace = |text: &str| toml::from_str::<SweepConfig>(text);
        let slowest = pace("rows_per_second = 1\npause_ms = 60000").expect("right");
        assert_eq!((slowest.rows_per_second, slowest.pause_ms), (1, 60_000));
        let fastest = pace("rows_per_second = 1000000").expect("right");
        assert_eq!((fastest.rows_per_second, fastest.pause_ms), (1_000_000, 0));
        for (wrong, limit) in [
            ("rows_per_second = 1000001", "0 to 1000000"),
            ("rows_per_second = -1", "0 to 1000000"),
            ("pause_ms = 60001", "0 to 60000"),
            ("pause_ms = -1", "0 to 60000"),
        ] {
            let refused = pace(wrong).expect_err("beyond its limit").to_string();
            assert!(refused.contains(limit), "{refused}");
        }
    }
}
