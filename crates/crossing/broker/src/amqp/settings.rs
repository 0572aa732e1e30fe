//! The `[queue.amqp]` section, read and checked once: address, account, names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lapin::auth::AuthProvider;
use lapin::tcp::RustlsConnector;
use lapin::types::{LongString, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use secrecy::{ExposeSecret, SecretString};

use super::address::{BrokerAddress, GUEST, MAX_NAME_BYTES};
use super::tls;
use crate::{AmqpConfig, BrokerError, Login};

/// Pause after the first failed attempt to connect, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Largest frame to agree on with the broker, in bytes: two of them take a batch padded to 64 KiB.
/// The driver keeps room for 32 of them to send, and for as many to read, at each connection.
const FRAME_BYTES: u32 = 33_024;

/// Configuration and secrets of a connection.
#[derive(Debug)]
pub(super) struct AmqpSettings {
    pub(super) config: AmqpConfig,
    pub(super) base: PathBuf,
    pub(super) address: BrokerAddress,
    password: SecretString,
}

impl AmqpSettings {
    pub(super) fn new(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        let mut names = vec![
            ("exchange", &config.exchange),
            ("queue", &config.queue),
            ("dead_letters", &config.dead_letters),
            ("dead_letters_exchange", &config.dead_letters_exchange),
            ("receipts", &config.receipts),
        ];
        names.extend(
            config
                .receipts_queue
                .iter()
                .map(|name| ("receipts_queue", name)),
        );
        for (at, (key, name)) in names.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with("amq.") {
                return Err(BrokerError::misconfigured(
                    format!("`{key}` is not a name for a queue"),
                    "choose 1 to 255 bytes not starting with `amq.`",
                ));
            }
            // Permissions go by name: the right to publish to an exchange would be the right to
            // bind the queue of the same name to any other.
            if let Some((other, _)) = names.iter().take(at).find(|(_, earlier)| earlier == name) {
                return Err(BrokerError::misconfigured(
                    format!("`{other}` and `{key}` of [queue.amqp] are both {name}"),
                    "give each exchange and each queue a name of its own",
                ));
            }
        }
        let address = BrokerAddress::parse(&config.url)?;
        if !address.tls && !config.allow_plain && !address.is_loopback() {
            return Err(BrokerError::misconfigured(
                format!(
                    "{address} is another machine, and amqp:// would send it the password in clear"
                ),
                "write amqps://, or `allow_plain = true` where something else encrypts the way",
            ));
        }
        let settings = Self {
            config: config.clone(),
            base: base.to_path_buf(),
            password: password(config, base, &address)?,
            address,
        };
        // Read again at every connection, since certificates get renewed; read here so that a wrong
        // one is reported at once.
        settings.tls_connector()?;
        Ok(settings)
    }

    /// Reads the certificate files, and makes the connector for `amqps://`; none for `amqp://`.
    pub(super) fn tls_connector(&self) -> Result<Option<RustlsConnector>, BrokerError> {
        tls::connector(&self.config.tls, self.address.tls, &self.base)
    }

    /// The broker's address for lapin; without the password, see [`AccountLogin`].
    pub(super) fn uri(&self) -> AMQPUri {
        let BrokerAddress {
            host,
            port,
            tls,
            user,
            vhost,
            ..
        } = self.address.clone();
        AMQPUri {
            scheme: if tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: user,
                    password: String::new(),
                },
                host,
                port,
            },
            vhost,
            query: AMQPQueryString {
                frame_max: Some(FRAME_BYTES),
                heartbeat: Some(self.config.heartbeat_seconds.get()),
                ..AMQPQueryString::default()
            },
        }
    }

    pub(super) fn login(&self) -> AccountLogin {
        if self.config.login == Login::Certificate {
            return AccountLogin::External;
        }
        let user = match self.address.user.as_str() {
            "" => GUEST,
            user => user,
        };
        AccountLogin::Plain {
            user: user.to_owned(),
            password: self.password.clone(),
        }
    }

    pub(super) fn confirm_timeout(&self) -> Duration {
        Duration::from_secs(self.config.confirm_timeout_seconds.get().into())
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.config.connect_timeout_seconds.get().into())
    }

    /// Pauses between attempts to connect: they grow to a bound, with jitter, without end.
    pub(super) fn pauses(&self) -> Pauses {
        let longest = Duration::from_secs(self.config.max_backoff_seconds.get().into());
        Pauses {
            longest,
            growing: ExponentialBuilder::default()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(longest)
                .with_jitter()
                .without_max_times()
                .build(),
        }
    }
}

/// Reads the account's password; empty where a certificate takes its place.
fn password(
    config: &AmqpConfig,
    base: &Path,
    address: &BrokerAddress,
) -> Result<SecretString, BrokerError> {
    match (&config.password, config.login) {
        (_, Login::Certificate) => Ok(SecretString::default()),
        (Some(source), Login::Password) => source.read(base).map_err(|error| {
            BrokerError::misconfigured(error.to_string(), "it is the queue's password")
        }),
        (None, Login::Password) if address.guest_password || address.user.is_empty() => {
            Ok(SecretString::from(GUEST))
        }
        (None, Login::Password) => Err(BrokerError::misconfigured(
            format!("the user {} of the queue has no password", address.user),
            "add `password = { file = \"…\" }` to [queue.amqp]",
        )),
    }
}

/// Iterator of [`AmqpSettings::pauses`].
#[derive(Debug)]
pub(super) struct Pauses {
    longest: Duration,
    growing: ExponentialBackoff,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The jitter comes on top of backon's bound.
        self.growing.next().map(|pause| pause.min(self.longest))
    }
}

/// Mechanism of the login (RFC 4422), with the account where it needs one.
pub(super) enum AccountLogin {
    Plain {
        user: String,
        password: SecretString,
    },
    /// By the client certificate.
    External,
}

impl AuthProvider for AccountLogin {
    fn mechanism(&self) -> ShortString {
        match self {
            Self::Plain { .. } => "PLAIN".into(),
            Self::External => "EXTERNAL".into(),
        }
    }

    fn auth_starter(&self) -> Result<LongString, String> {
        Ok(match self {
            Self::Plain { user, password } => {
                format!("\0{user}\0{}", password.expose_secret()).into()
            }
            Self::External => "".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<AmqpSettings, BrokerError> {
        AmqpSettings::new(
            &AmqpConfig {
                url: url.into(),
                ..AmqpConfig::default()
            },
            Path::new("/"),
        )
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_repeating_it() {
        for url in [
            "amqp://u:hunter2@h",
            "hunter2",
            "http://hunter2",
            "amqp://u%zzhunter2@h",
            "amqp://h?p=hunter2",
        ] {
            let error = settings(url).unwrap_err();
            assert!(
                !error.is_retry() && !error.to_string().contains("hunter2"),
                "{error}"
            );
        }
        assert!(
            settings("amqp://u@localhost")
                .unwrap_err()
                .to_string()
                .contains("has no password")
        );
        settings("amqp://guest:guest@127.0.0.1").unwrap();
    }

    #[test]
    fn a_password_leaves_the_machine_only_encrypted_unless_somebody_says_so() {
        for url in [
            "amqp://guest:guest@mq.example",
            "amqp://guest:guest@10.0.0.7",
            "amqp://guest:guest@[2001:db8::1]",
        ] {
            assert!(
                settings(url).unwrap_err().to_string().contains("amqps://"),
                "{url}"
            );
            let config = AmqpConfig {
                url: url.into(),
                allow_plain: true,
                ..AmqpConfig::default()
            };
            AmqpSettings::new(&config, Path::new("/")).unwrap();
        }
        for url in [
            "amqp://guest:guest@[::1]",
            "amqp://127.8.9.1",
            "amqp://localhost",
        ] {
            settings(url).unwrap();
        }
    }

    #[test]
    fn pauses_grow_to_their_bound_and_never_end() {
        let config = AmqpConfig {
            max_backoff_seconds: 2.try_into().unwrap(),
            ..AmqpConfig::default()
        };
        let pauses: Vec<_> = AmqpSettings::new(&config, Path::new("/"))
            .unwrap()
            .pauses()
            .take(100)
            .collect();
        assert_eq!(pauses.len(), 100);
        assert!(
            pauses[0] < Duration::from_secs(1)
                && pauses.iter().all(|pause| *pause <= Duration::from_secs(2))
        );
    }

    #[test]
    fn an_exchange_and_a_queue_of_one_name_are_refused() {
        let config = AmqpConfig {
            queue: AmqpConfig::default().exchange,
            ..AmqpConfig::default()
        };
        let error = AmqpSettings::new(&config, Path::new("/")).unwrap_err();
        assert!(
            error.to_string().contains("`exchange` and `queue`"),
            "{error}"
        );
    }

    #[test]
    fn names_that_amqp_cannot_carry_are_refused() {
        for queue in [String::new(), "x".repeat(256), "amq.x".into()] {
            let config = AmqpConfig {
                queue,
                ..AmqpConfig::default()
            };
            assert!(
                AmqpSettings::new(&config, Path::new("/"))
                    .unwrap_err()
                    .to_string()
                    .contains("`queue`")
            );
        }
    }
}
