//! Settings checked at construction: every query one wrappable SELECT, every limit in its range.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use connector_kit::{Feed, SourceError};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use secrecy::SecretString;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use settings::SecretSource;

use crate::config::{Common, Encoding, FeedConfig};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::config::{TlsConfig, TlsMode};
use crate::date::DateFormats;
use crate::statement::{Statement, Syntax};

/// Longest look back of a run that a hint began.
#[cfg(feature = "postgres")]
const MAX_LISTEN_OVERLAP_SECONDS: u32 = 300;

/// Settings of a source.
pub(crate) struct SqlSettings {
    pub zone: Tz,
    pub encoding: Encoding,
    pub overlap_seconds: u32,
    /// Seconds that a run begun by a hint looks back.
    pub listen_overlap_seconds: u32,
    pub statement_timeout: Duration,
    pub connect_timeout: Duration,
    pub feeds: Vec<FeedSettings>,
}

/// Settings of a feed.
pub(crate) struct FeedSettings {
    pub feed: Feed,
    pub statement: Statement,
    pub config: FeedConfig,
    /// Forms of dates that are kept as text.
    pub formats: DateFormats,
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
            feeds,
        })
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
