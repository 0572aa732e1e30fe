//! Logs to standard error, for a person or as one JSON object per line.
//!
//! Never logged, at any level: an identifier of a person, a source's value, a secret, a server's
//! free error text.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::flat_json::FlatJson;

/// The `[log]` section.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `human` for a person at a terminal, `json` for a collector (one object a line).
    pub format: LogFormat,
    /// Filter, as `tracing` directives: `info`, or `info,clinic_gateway=debug`. The environment
    /// variable `RUST_LOG`, where set, wins.
    pub filter: String,
}

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Coloured text where standard error is a terminal.
    Human,
    /// JSON, one object on each line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            filter: "info".to_owned(),
        }
    }
}

/// Error in the log filter of the configuration.
#[derive(Debug, thiserror::Error)]
#[error(
    "log.filter is no filter: write a level (error, warn, info, debug, trace) or target=level \
     pairs, comma-separated"
)]
pub struct LogError;

/// Starts logging; a second call in one process changes nothing.
///
/// # Errors
/// [`LogError`]: the filter cannot be read.
pub fn init_logs(config: &LogConfig) -> Result<(), LogError> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| config.filter.clone());
    let filter = EnvFilter::try_new(directives).map_err(|_| LogError)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(std::io::stderr().is_terminal());
    let permitted = filter_fn(|metadata| may_be_logged(metadata.target(), *metadata.level()));
    let lines = match config.format {
        LogFormat::Human => lines.with_target(false).boxed(),
        LogFormat::Json => lines
            .json()
            .with_current_span(false)
            .with_span_list(false)
            .map_event_format(|inner| FlatJson { inner })
            .boxed(),
    };
    let _already_started = tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(permitted)))
        .try_init();
    Ok(())
}

/// Returns whether a line may be logged, whatever the filter asks for: lines of the drivers quote
/// statements, values and whole frames, and so people and passwords.
fn may_be_logged(target: &str, level: Level) -> bool {
    let krate = target.split("::").next().unwrap_or(target);
    match krate {
        // Frames at trace (the password among them), returned messages at warn.
        "lapin" | "amq_protocol" | "async_rs" => false,
        // It logs a greeting at info, and an error when it is shut down; the faults that matter are
        // logged by us.
        "tokio_cron_scheduler" => false,
        "sqlx" | "sqlx_core" | "sqlx_postgres" | "sqlx_mysql" | "sqlx_sqlite" => false,
        "reqwest" | "hyper" | "hyper_util" | "h2" | "rustls" | "tower_http" => level <= Level::WARN,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let config = LogConfig {
            filter: "clinic=nonsense=".into(),
            ..LogConfig::default()
        };
        if std::env::var_os("RUST_LOG").is_none() {
            assert!(init_logs(&config).is_err());
        }
        assert!(init_logs(&LogConfig::default()).is_ok());
        assert!(
            init_logs(&LogConfig::default()).is_ok(),
            "a second start is harmless"
        );
    }

    #[test]
    fn no_filter_lets_the_drivers_log() {
        for target in [
            "lapin",
            "lapin::channel",
            "amq_protocol::frame",
            "sqlx::query",
            "sqlx_postgres::connection",
        ] {
            assert!(!may_be_logged(target, Level::ERROR), "{target}");
        }
        assert!(
            !may_be_logged("hyper::proto", Level::DEBUG)
                && may_be_logged("rustls::conn", Level::WARN)
        );
        assert!(
            may_be_logged("clinic_gateway::run", Level::TRACE)
                && may_be_logged("broker::amqp", Level::TRACE)
        );
    }
}
