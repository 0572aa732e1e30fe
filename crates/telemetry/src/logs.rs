//! Logs to standard error, for a person or as one JSON object a line.
//!
//! Never logged, at any level: an identifier of a person, a source's value, a secret, a server's free error text.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// The `[log]` section.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `human` for a person at a terminal, `json` for a collector (one object a line).
    pub format: LogFormat,
    /// What to log, as `tracing` filter directives: `info`, or `info,clinic_gateway=debug`. The environment variable
    /// `RUST_LOG`, where set, wins.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Coloured text where standard error is a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Human, filter: "info".to_owned() }
    }
}

/// The filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "log.filter is no filter: write a level (error, warn, info, debug, trace) or target=level pairs, comma-separated"
)]
pub struct LogError;

/// Starts logging; a second call in one process changes nothing.
///
/// # Errors
/// [`LogError`] when the filter cannot be read.
pub fn init_logs(config: &LogConfig) -> Result<(), LogError> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| config.filter.clone());
    // The drivers' own debug lines may quote statements and values, so they stay at `warn` whatever is asked for.
    let quiet = ["sqlx", "lapin", "amq_protocol", "reqwest", "hyper", "hyper_util", "h2", "rustls"];
    let mut filter = EnvFilter::try_new(directives).map_err(|_| LogError)?;
    for target in quiet {
        filter = filter.add_directive(format!("{target}=warn").parse().map_err(|_| LogError)?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(std::io::stderr().is_terminal());
    let _already_started = match config.format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().with_current_span(false).with_span_list(false).try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_told_so() {
        let config = LogConfig { filter: "clinic=nonsense=".into(), ..LogConfig::default() };
        if std::env::var_os("RUST_LOG").is_none() {
            assert!(init_logs(&config).is_err());
        }
        assert!(init_logs(&LogConfig::default()).is_ok());
        assert!(init_logs(&LogConfig::default()).is_ok(), "a second start is harmless");
    }
}
