//! Connection options for PostgreSQL, out of the configuration.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::config::{PostgresConfig, TlsMode};
use crate::store::error::StoreError;

/// Longest wait for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
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

/// Advice to whoever would send facts in clear to another machine.
const PLAIN_HELP: &str = "write tls = \"verify-full\", or `allow_plain = true` where something \
                          else encrypts the way";

fn misconfigured(what: String, help: &'static str) -> StoreError {
    StoreError::Misconfigured { what, help }
}

/// Options of every connection; relative paths start from `base`.
pub(super) fn options(
    config: &PostgresConfig,
    base: &Path,
) -> Result<PgConnectOptions, StoreError> {
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
    let mode = ssl_mode(config, &options);
    options = options.ssl_mode(mode);
    if is_plain(config, &options) && !config.allow_plain {
        let what = "store.postgres.tls is \"off\" and the server is another machine: facts and the \
                    password would travel in clear";
        return Err(misconfigured(what.into(), PLAIN_HELP));
    }
    options = with_certificates(options, config, base)?;
    Ok(options
        .application_name("city-registry")
        .options(SESSION_SETTINGS))
}

/// Encryption as configured. Where nothing is written, the server on this machine may offer none:
/// what it is sent leaves the machine in no case. Whoever names certificates wants them looked at.
fn ssl_mode(config: &PostgresConfig, options: &PgConnectOptions) -> PgSslMode {
    let names_certificates = config.ca_file.is_some() || config.cert_file.is_some();
    match config.tls {
        Some(TlsMode::Off) => PgSslMode::Disable,
        Some(TlsMode::VerifyCa) => PgSslMode::VerifyCa,
        Some(TlsMode::VerifyFull) => PgSslMode::VerifyFull,
        None if is_local(options) && !names_certificates => PgSslMode::Prefer,
        None => PgSslMode::VerifyFull,
    }
}

/// Adds the files of certificates. They are looked at before the driver reads them, which would
/// wait for ever at a pipe.
fn with_certificates(
    mut options: PgConnectOptions,
    config: &PostgresConfig,
    base: &Path,
) -> Result<PgConnectOptions, StoreError> {
    let readable = |setting: &str, file: &Path| {
        let path = base.join(file);
        match settings::read_regular_file(&path, tls_fault::MAX_CERTIFICATE_BYTES) {
            Ok(content) if setting == "key_file" || tls_fault::has_certificate(&content) => {
                Ok(path)
            }
            Ok(_) => Err(misconfigured(
                format!(
                    "store.postgres.{setting}, {}, holds no PEM certificate",
                    path.display()
                ),
                tls_fault::CERTIFICATE_FORM,
            )),
            Err(error) => Err(misconfigured(
                format!(
                    "store.postgres.{setting}, {}, cannot be read: {error}",
                    path.display()
                ),
                "it should be a PEM file that this program's user may read",
            )),
        }
    };
    if let Some(file) = &config.ca_file {
        options = options.ssl_root_cert(readable("ca_file", file)?);
    }
    if let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) {
        options = options
            .ssl_client_cert(readable("cert_file", cert)?)
            .ssl_client_key(readable("key_file", key)?);
    }
    Ok(options)
}

/// Warning of a connection whose content travels in clear to another machine, as the configuration
/// permits.
#[cfg(any(feature = "cli", test))]
pub(in crate::store) fn plain_warning(
    config: &PostgresConfig,
    base: &Path,
) -> Option<&'static str> {
    is_plain(config, &options(config, base).ok()?).then_some(
        "store.postgres.allow_plain is set: facts and the password travel in clear to another \
         machine, unless something else encrypts the way; tls = \"verify-full\" needs no such word",
    )
}

/// Returns whether everything travels in clear to another machine.
fn is_plain(config: &PostgresConfig, options: &PgConnectOptions) -> bool {
    config.tls == Some(TlsMode::Off) && !is_local(options)
}

/// Returns whether the server is on this machine: a Unix socket or a loopback address.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &PostgresConfig) -> Result<Option<&'static str>, String> {
        options(config, Path::new("/"))
            .map(|_| plain_warning(config, Path::new("/")))
            .map_err(|error| error.to_string())
    }

    fn at_host(host: &str) -> PostgresConfig {
        PostgresConfig {
            host: host.into(),
            tls: Some(TlsMode::Off),
            ..PostgresConfig::default()
        }
    }

    fn at_url(url: &str) -> PostgresConfig {
        PostgresConfig {
            url: Some(url.into()),
            ..at_host("127.0.0.1")
        }
    }

    #[test]
    fn nothing_travels_in_clear_to_another_machine_without_a_word() {
        for other in [
            at_host("db.city.example"),
            at_host("10.0.0.7"),
            at_host("::2"),
            at_url("postgres://r@db.city.example/registry"),
            at_url("postgres://r@[fd00::1]/registry"),
            at_url("postgres://r@localhost/registry?host=db.city.example"),
            at_url("postgres://r@127.0.0.1/registry?hostaddr=10.0.0.7&sslmode=verify-full"),
        ] {
            let refused = read(&other).expect_err("in clear to another machine");
            assert!(refused.contains("allow_plain = true"), "{refused}");
            let allowed = PostgresConfig {
                allow_plain: true,
                ..other.clone()
            };
            let warning = read(&allowed).expect("somebody said so");
            assert!(warning.is_some_and(|it| it.contains("allow_plain is set")));
            let encrypted = PostgresConfig {
                tls: Some(TlsMode::VerifyCa),
                ..other
            };
            assert_eq!(read(&encrypted), Ok(None));
        }
    }

    #[test]
    fn without_a_word_this_machine_may_offer_no_tls_and_another_is_verified() {
        let mode = |url: &str, ca_file: Option<&str>| {
            let config = PostgresConfig {
                url: Some(url.into()),
                ca_file: ca_file.map(Into::into),
                ..PostgresConfig::default()
            };
            let options = PgConnectOptions::from_str(url).expect("a url");
            ssl_mode(&config, &options)
        };
        let is_verified = |mode| matches!(mode, PgSslMode::VerifyFull);
        for here in ["127.0.0.1", "localhost", "[::1]"] {
            let url = format!("postgres://registry@{here}:5432/registry");
            assert!(matches!(mode(&url, None), PgSslMode::Prefer), "{here}");
            assert!(is_verified(mode(&url, Some("ca.pem"))), "{here}");
        }
        for other in ["db.city", "10.0.0.7", "localhost.city"] {
            let url = format!("postgres://registry@{other}/registry");
            assert!(is_verified(mode(&url, None)), "{other}");
        }
    }

    #[test]
    fn this_machine_needs_no_word() {
        for here in [
            at_host("127.0.0.1"),
            at_host("::1"),
            at_host("localhost"),
            at_host("/run/postgresql"),
            at_url("postgres://r@localhost/registry"),
            at_url("postgres://r@[::1]:5433/registry"),
            at_url("postgres://r@%2Frun%2Fpostgresql/registry"),
            at_url("postgres:///registry?host=/run/postgresql"),
        ] {
            assert_eq!(read(&here), Ok(None));
        }
    }
}
