//! Connection options for PostgreSQL, out of the configuration.

use std::path::Path;
use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::config::{PostgresConfig, TlsMode};
use crate::store::error::StoreError;

/// Server settings of every session.
const SESSION_SETTINGS: [(&str, &str); 6] = [
    ("statement_timeout", "60s"),
    ("lock_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "120s"),
    // The statements are short and their plans known: compiling them costs more than it saves.
    ("jit", "off"),
    // A plan made for one set of thousands costs as much as the look itself, and may go over the
    // whole table.
    ("plan_cache_mode", "force_generic_plan"),
    // Such a plan may have been made while a table was empty, and would go over all of it for the
    // rest of the day.
    ("enable_seqscan", "off"),
];

/// Options of every connection; relative paths start from `base`.
pub(super) fn options(
    config: &PostgresConfig,
    base: &Path,
) -> Result<PgConnectOptions, StoreError> {
    let misconfigured = |what: String, help| StoreError::Misconfigured { what, help };
    let mut options = match &config.url {
        Some(url) => PgConnectOptions::from_str(url).map_err(|_| {
            misconfigured(
                "store.postgres.url cannot be read".into(),
                "write postgres://USER@HOST:PORT/DATABASE",
            )
        })?,
        None => PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port)
            .database(&config.database)
            .username(&config.user),
    };
    if let Some(source) = &config.password {
        let password = source.read(base).map_err(|error| {
            misconfigured(
                format!("store.postgres.password: {error}"),
                "correct that setting",
            )
        })?;
        options = options.password(password.expose_secret());
    }
    options = options.ssl_mode(match config.tls {
        TlsMode::Off => PgSslMode::Disable,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    });
    if let Some(file) = &config.ca_file {
        options = options.ssl_root_cert(base.join(file));
    }
    if let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) {
        options = options
            .ssl_client_cert(base.join(cert))
            .ssl_client_key(base.join(key));
    }
    Ok(options
        .application_name("city-registry")
        .options(SESSION_SETTINGS))
}
