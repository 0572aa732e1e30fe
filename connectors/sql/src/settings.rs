//! Settings checked at construction: every query one wrappable SELECT, every limit in its range.

use std::collections::BTreeMap;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use connector_kit::{Feed, SourceError};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use secrecy::SecretString;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use settings::SecretSource;

use crate::config::{ChangeDetection, Common, Encoding, FeedConfig};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::config::{TlsConfig, TlsMode};
use crate::date::DateFormats;
use crate::statement::{Statement, Syntax};

/// Longest look back of a run that a hint began.
#[cfg(feature = "postgres")]
const MAX_LISTEN_OVERLAP_SECONDS: u32 = 300;

/// Longest time for which a whole read stays open although nobody goes on with it.
const MAX_UNTAKEN: Duration = Duration::from_secs(30);
/// Time for which one statement may read everything, where nothing is configured.
const USUAL_READ_SECONDS: u32 = 300;
/// The same of an SQLite file: a reader keeps its writers from cutting the log off.
const USUAL_FILE_READ_SECONDS: u32 = 20;
/// Most change queries of a feed: a cursor holds a place in each of them.
pub(crate) const MAX_CHANGE_QUERIES: usize = 8;
/// Longest name of a change query, in characters.
pub(crate) const MAX_CHANGE_NAME: usize = 40;

/// Settings of a source.
pub(crate) struct SqlSettings {
    pub zone: Tz,
    pub encoding: Encoding,
    pub overlap_seconds: u32,
    /// Seconds that a run begun by a hint looks back.
    pub listen_overlap_seconds: u32,
    pub statement_timeout: Duration,
    pub connect_timeout: Duration,
    /// Longest time for which one statement reads a whole feed.
    pub max_read: Duration,
    pub feeds: Vec<FeedSettings>,
}

/// Settings of a feed, or of one of its change queries.
pub(crate) struct FeedSettings {
    pub feed: Feed,
    pub statement: Statement,
    pub config: FeedConfig,
    /// Forms of dates that are kept as text.
    pub formats: DateFormats,
    pub detection: ChangeDetection,
    /// Name of the change query that these are the settings of; `None` for the feed's own query.
    pub change: Option<String>,
    /// The feed's change queries.
    pub changes: Vec<Self>,
}

impl FeedSettings {
    /// True where the query has to have a `changed_at`.
    pub(crate) fn has_stamp(&self) -> bool {
        self.change.is_some() || self.detection == ChangeDetection::Stamp
    }

    /// Place of the query in the configuration, in words.
    pub(crate) fn place(&self) -> String {
        match &self.change {
            Some(name) => format!("{}: changes.{name}", self.feed),
            None => self.feed.to_string(),
        }
    }
}

impl SqlSettings {
    pub(crate) fn new(common: Common, syntax: Syntax) -> Result<Self, SourceError> {
        let seconds = |name: &str, value: u32, max: u32| {
            let problem = || {
                SourceError::misconfigured(
                    format!("{name} is {value}"),
                    format!("write a number from 1 to {max}"),
                )
            };
            (1..=max)
                .contains(&value)
                .then(|| Duration::from_secs(value.into()))
                .ok_or_else(problem)
        };
        let usual = if syntax.is_of_file() {
            USUAL_FILE_READ_SECONDS
        } else {
            USUAL_READ_SECONDS
        };
        let max_read = common.max_read_seconds.unwrap_or(usual);
        let mut feeds = Vec::new();
        for (feed, config) in Feed::ALL.into_iter().zip(common.feeds) {
            if let Some(config) = config {
                feeds.push(feed_settings(feed, config, syntax, &common.date_formats)?);
            }
        }
        if feeds.is_empty() {
            return Err(SourceError::misconfigured(
                "the source has no feed",
                "add a table vaccinations, tests or recoveries with a query",
            ));
        }
        Ok(Self {
            zone: common.time_zone,
            encoding: common.encoding,
            overlap_seconds: common.overlap_seconds,
            listen_overlap_seconds: common.listen_overlap_seconds,
            statement_timeout: seconds(
                "statement_timeout_seconds",
                common.statement_timeout_seconds,
                3600,
            )?,
            connect_timeout: seconds(
                "connect_timeout_seconds",
                common.connect_timeout_seconds,
                300,
            )?,
            max_read: seconds("max_read_seconds", max_read, 86_400)?,
            feeds,
        })
    }

    /// Longest time for which a whole read stays open although nobody goes on with it.
    pub(crate) fn max_untaken(&self) -> Duration {
        MAX_UNTAKEN.min(self.max_read)
    }
}

fn feed_settings(
    feed: Feed,
    mut config: FeedConfig,
    syntax: Syntax,
    date_formats: &[String],
) -> Result<FeedSettings, SourceError> {
    let statement = Statement::parse(&config.query, syntax).map_err(|problem| {
        SourceError::misconfigured(
            format!("feed {feed}: {problem}"),
            "write one plain SELECT … FROM … whose column aliases are the documented names",
        )
    })?;
    let formats = config.date_formats.as_deref().unwrap_or(date_formats);
    let formats = DateFormats::new(formats).map_err(|problem| {
        SourceError::misconfigured(
            format!("feed {feed}: date_formats: {problem}"),
            "write letters such as \"d.M.yyyy\" or \"yyyyMMdd\"; docs/codes.md has examples",
        )
    })?;
    let detection = detection(feed, &config)?;
    let changes = std::mem::take(&mut config.changes);
    let changes = changes.into_iter();
    let changes = changes.map(|(name, query)| change_settings(feed, name, query, syntax));
    let changes = changes.collect::<Result<Vec<FeedSettings>, _>>()?;
    let words = std::mem::take(&mut config.status_words);
    config.status_words = words
        .into_iter()
        .map(|(word, means)| (word.trim().to_lowercase(), means))
        .collect();
    Ok(FeedSettings {
        feed,
        statement,
        config,
        formats,
        detection,
        change: None,
        changes,
    })
}

/// Way in which changes of a feed are noticed: the one that is written, or that `changes` imply.
fn detection(feed: Feed, config: &FeedConfig) -> Result<ChangeDetection, SourceError> {
    let wrong = |what: &str, help: &str| {
        Err(SourceError::misconfigured(
            format!("feed {feed}: {what}"),
            help,
        ))
    };
    let has_changes = !config.changes.is_empty();
    match (config.change_detection, has_changes) {
        (None | Some(ChangeDetection::SeveralStamps), true) => {}
        (Some(ChangeDetection::SeveralStamps), false) => {
            return wrong(
                "change_detection is \"several-stamps\", and there is no change query",
                "write a table `changes` with one short query for each table: NAME = \"SELECT … AS \
                 record_id, … AS changed_at FROM …\"",
            );
        }
        (Some(_), true) => {
            return wrong(
                "it has a table `changes`, which has no effect with this change_detection",
                "leave change_detection out, or write change_detection = \"several-stamps\"",
            );
        }
        (written, false) => return Ok(written.unwrap_or(ChangeDetection::Stamp)),
    }
    if config.changes.len() > MAX_CHANGE_QUERIES {
        return wrong(
            &format!("it has more than {MAX_CHANGE_QUERIES} change queries"),
            "join some with UNION ALL, or leave out tables that change rarely: sweeps find their \
             changes with sweep_contents = true",
        );
    }
    Ok(ChangeDetection::SeveralStamps)
}

fn change_settings(
    feed: Feed,
    name: String,
    query: String,
    syntax: Syntax,
) -> Result<FeedSettings, SourceError> {
    let is_name = (1..=MAX_CHANGE_NAME).contains(&name.chars().count())
        && name
            .chars()
            .all(|char| char.is_alphanumeric() || matches!(char, '_' | '-'));
    if !is_name {
        return Err(SourceError::misconfigured(
            format!("feed {feed}: a change query has a name that is too long, or of other letters"),
            format!(
                "name it after its table, with at most {MAX_CHANGE_NAME} letters, digits, _ and -"
            ),
        ));
    }
    let statement = Statement::parse_change(&query, syntax).map_err(|problem| {
        SourceError::misconfigured(
            format!("feed {feed}: changes.{name}: {problem}"),
            "write one plain SELECT … AS record_id, … AS changed_at FROM …",
        )
    })?;
    Ok(FeedSettings {
        feed,
        statement,
        config: FeedConfig {
            query,
            change_detection: None,
            changes: BTreeMap::new(),
            sweep_contents: false,
            date_formats: None,
            status_words: BTreeMap::new(),
        },
        formats: DateFormats::default(),
        detection: ChangeDetection::Stamp,
        change: Some(name),
        changes: Vec::new(),
    })
}

/// Checks the seconds that a run begun by a hint looks back.
#[cfg(feature = "postgres")]
pub(crate) fn listen_overlap(seconds: u32) -> Result<u32, SourceError> {
    if seconds <= MAX_LISTEN_OVERLAP_SECONDS {
        return Ok(seconds);
    }
    Err(SourceError::misconfigured(
        format!("listen_overlap_seconds is {seconds}"),
        format!(
            "write a number from 0 to {MAX_LISTEN_OVERLAP_SECONDS}; scheduled runs look back \
             overlap_seconds"
        ),
    ))
}

/// Reads the password, if one is configured.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn password(
    source: Option<&SecretSource>,
    base: &Path,
) -> Result<Option<SecretString>, SourceError> {
    source
        .map(|source| source.read(base))
        .transpose()
        .map_err(|error| {
            SourceError::misconfigured(
                error.to_string(),
                "put the account's password there or change `password`",
            )
        })
}

/// TLS settings with their paths resolved and their key read.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) struct Tls {
    pub mode: TlsMode,
    pub ca: Option<PathBuf>,
    pub client: Option<(PathBuf, SecretString)>,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl Tls {
    /// Identities travel on this connection: to another machine it is verified unless somebody says
    /// otherwise, and in clear only if somebody says just that.
    pub(crate) fn new(config: &TlsConfig, host: &str, base: &Path) -> Result<Self, SourceError> {
        let is_local = crate::driver::is_local_host(host);
        let usual = if is_local {
            TlsMode::Prefer
        } else {
            TlsMode::VerifyFull
        };
        let mode = config.mode.unwrap_or(usual);
        if mode.may_be_plain() && !is_local && !config.allow_plain {
            return Err(SourceError::misconfigured(
                "tls.mode is disable, or prefer, which gives way to a server that does not \
                 encrypt, and the server is another machine: records and the password would \
                 travel in clear",
                "write tls = { mode = \"verify-full\" }, or add `allow_plain = true` to tls where \
                 something else encrypts the way",
            ));
        }
        let client = match (&config.client_certificate_file, &config.client_key_file) {
            (Some(certificate), Some(key)) => {
                let key = settings::read_private_file(&base.join(key)).map_err(|error| {
                    SourceError::misconfigured(
                        error.to_string(),
                        "put the client certificate's key there",
                    )
                })?;
                let certificate =
                    certificate_file(base, certificate, "tls.client_certificate_file")?;
                Some((certificate, key))
            }
            (None, None) => None,
            _ => {
                return Err(SourceError::misconfigured(
                    "tls has a client certificate without its key, or a key without its \
                     certificate",
                    "write both client_certificate_file and client_key_file",
                ));
            }
        };
        let ca = config
            .ca_file
            .as_ref()
            .map(|file| certificate_file(base, file, "tls.ca_file"))
            .transpose()?;
        Ok(Self { mode, ca, client })
    }
}

/// The full path of a setting's file, which can be read and holds a certificate.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn certificate_file(base: &Path, file: &Path, setting: &str) -> Result<PathBuf, SourceError> {
    let path = base.join(file);
    let content = settings::read_regular_file(&path, tls_fault::MAX_CERTIFICATE_BYTES);
    let content = content.map_err(|error| {
        SourceError::misconfigured(
            format!("{} cannot be read: {error}", path.display()),
            "check the path and its permissions",
        )
    })?;
    if !tls_fault::has_certificate(&content) {
        return Err(SourceError::misconfigured(
            format!("{} of {setting} holds no PEM certificate", path.display()),
            tls_fault::CERTIFICATE_FORM,
        ));
    }
    Ok(path)
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_verified_unless_somebody_says_otherwise() {
        let mode = |host: &str, mode| {
            Tls::new(
                &TlsConfig {
                    mode,
                    ..TlsConfig::default()
                },
                host,
                Path::new("/"),
            )
            .map(|tls| tls.mode)
        };
        assert_eq!(mode("mis.clinic.example", None), Ok(TlsMode::VerifyFull));
        assert_eq!(mode("10.1.2.3", None), Ok(TlsMode::VerifyFull));
        assert_eq!(mode("127.0.0.1", None), Ok(TlsMode::Prefer));
        assert_eq!(
            mode("mis.clinic.example", Some(TlsMode::Require)),
            Ok(TlsMode::Require)
        );
    }

    #[test]
    fn nothing_travels_in_clear_to_another_machine_without_a_word() {
        let mode = |host: &str, mode, allow_plain| {
            let config = TlsConfig {
                mode: Some(mode),
                allow_plain,
                ..TlsConfig::default()
            };
            Tls::new(&config, host, Path::new("/")).map(|tls| tls.mode)
        };
        for plain in [TlsMode::Disable, TlsMode::Prefer] {
            for host in [
                "mis.clinic.example",
                "10.1.2.3",
                "::2",
                "localhost.example",
                "",
            ] {
                let refused = mode(host, plain, false).expect_err(host).to_string();
                assert!(refused.contains("allow_plain = true"), "{refused}");
                assert_eq!(mode(host, plain, true), Ok(plain), "{host}");
            }
            for host in [
                "127.0.0.1",
                "127.9.9.9",
                "::1",
                "localhost",
                "/run/mysqld.sock",
            ] {
                assert_eq!(mode(host, plain, false), Ok(plain), "{host}");
            }
        }
    }
}
