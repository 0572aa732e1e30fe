//! The `[queue.amqp]` section, read and checked once: address, account, names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lapin::auth::AuthProvider;
use lapin::types::{LongString, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::tls;
use crate::{AmqpConfig, BrokerError, Login};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The account that RabbitMQ comes with, which it lets in over loopback only; no secret.
const GUEST: &str = "guest";
/// AMQP's short strings hold 255 bytes.
const MAX_NAME_BYTES: usize = 255;

/// The largest frame to agree on with the broker. The driver keeps room for 32 of them to send, and
/// for as many to read, at each connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frames {
    /// 33,024 bytes: two of them take a batch padded to 64 KiB.
    Small,
    /// 131,072 bytes, as other clients agree on: for whoever reads what any clinic may have sent.
    /// The broker cuts a message's body to the reader's frames, but not its header, and one that is
    /// larger ends the reader's connection.
    Usual,
}

impl Frames {
    const fn max_bytes(self) -> u32 {
        match self {
            Self::Small => 33_024,
            Self::Usual => 131_072,
        }
    }
}

/// Everything needed to connect.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: AmqpConfig,
    pub(super) base: PathBuf,
    pub(super) place: Place,
    password: SecretString,
}

/// Where the broker is and who we are there; the name of it in messages.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) user: String,
    pub(super) vhost: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker at {}:{}", self.host, self.port)
    }
}

impl Settings {
    pub(super) fn new(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        for (key, name) in [
            ("exchange", &config.exchange),
            ("queue", &config.queue),
            ("dead_letters", &config.dead_letters),
            ("receipts", &config.receipts),
        ] {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with("amq.") {
                return Err(BrokerError::misconfigured(
                    format!("`{key}` is not a name for a queue"),
                    "choose 1 to 255 bytes not starting with `amq.`",
                ));
            }
        }
        let (place, in_url) = parse(&config.url)?;
        if !place.tls && !config.allow_plain && !is_loopback(&place.host) {
            return Err(BrokerError::misconfigured(
                format!(
                    "{place} is another machine, and amqp:// would send it the password in clear"
                ),
                "write amqps://, or `allow_plain = true` where something else encrypts the way",
            ));
        }
        let password = match (&config.password, config.login) {
            (_, Login::Certificate) => SecretString::default(),
            (Some(source), Login::Password) => source.read(base).map_err(|error| {
                BrokerError::misconfigured(error.to_string(), "it is the queue's password")
            })?,
            (None, Login::Password) if in_url || place.user.is_empty() => SecretString::from(GUEST),
            (None, Login::Password) => {
                return Err(BrokerError::misconfigured(
                    format!("the user {} of the queue has no password", place.user),
                    "add `password = { file = \"…\" }` to [queue.amqp]",
                ));
            }
        };
        let settings = Self {
            config: config.clone(),
            base: base.to_path_buf(),
            place,
            password,
        };
        // Read again at every connection, since certificates get renewed; read here to tell at
        // once.
        tls::connector(&settings)?;
        Ok(settings)
    }

    /// What lapin wants to know; it gets no password here, see [`Plain`].
    pub(super) fn uri(&self, frames: Frames) -> AMQPUri {
        let Place {
            host,
            port,
            tls,
            user,
            vhost,
        } = self.place.clone();
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
                frame_max: Some(frames.max_bytes()),
                heartbeat: Some(self.config.heartbeat_seconds.get()),
                ..AMQPQueryString::default()
            },
        }
    }

    pub(super) fn login(&self) -> Plain {
        let user = if self.place.user.is_empty() {
            GUEST
        } else {
            &self.place.user
        };
        match self.config.login {
            Login::Password => Plain {
                account: Some((user.to_owned(), self.password.clone())),
            },
            Login::Certificate => Plain { account: None },
        }
    }

    pub(super) fn confirm_timeout(&self) -> Duration {
        Duration::from_secs(self.config.confirm_timeout_seconds.get().into())
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.config.connect_timeout_seconds.get().into())
    }

    /// Pauses between attempts to connect: growing, jittered, bounded, without end.
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

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// See [`Settings::pauses`].
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

/// SASL PLAIN with the account, or EXTERNAL without one.
pub(super) struct Plain {
    account: Option<(String, SecretString)>,
}

impl AuthProvider for Plain {
    fn mechanism(&self) -> ShortString {
        if self.account.is_some() {
            "PLAIN"
        } else {
            "EXTERNAL"
        }
        .into()
    }

    fn auth_starter(&self) -> Result<LongString, String> {
        Ok(match &self.account {
            Some((user, password)) => format!("\0{user}\0{}", password.expose_secret()).into(),
            None => "".into(),
        })
    }
}

/// The place, and whether the URL itself says `guest:guest`. Never quotes the URL: it may hold a
/// password.
fn parse(text: &str) -> Result<(Place, bool), BrokerError> {
    let help = "write amqp://user@host:port/vhost, or amqps:// for TLS";
    let wrong =
        |what: &str| BrokerError::misconfigured(format!("`url` of [queue.amqp] {what}"), help);
    let url = Url::parse(text).map_err(|_| wrong("is not an address"))?;
    let tls = match url.scheme() {
        "amqp" => false,
        "amqps" => true,
        _ => return Err(wrong("starts with neither amqp:// nor amqps://")),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return Err(wrong("names no host")),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "has parameters behind `?`; they are keys of [queue.amqp] here",
        ));
    }
    let user = decoded(url.username()).ok_or_else(|| wrong("has a wrong %-escape"))?;
    let guest = user == GUEST && url.password() == Some(GUEST);
    if url.password().is_some() && !guest {
        return Err(BrokerError::misconfigured(
            "`url` of [queue.amqp] holds a password",
            "take it out, change it, and give the new one as `password = { file = \"…\" }`",
        ));
    }
    let vhost = match url.path().strip_prefix('/').unwrap_or("") {
        "" => "/".to_owned(),
        path => decoded(path).ok_or_else(|| wrong("has a wrong %-escape"))?,
    };
    if vhost.len() > MAX_NAME_BYTES {
        return Err(wrong("names a virtual host longer than 255 bytes"));
    }
    let port = url.port().unwrap_or(if tls { 5671 } else { 5672 });
    Ok((
        Place {
            host,
            port,
            tls,
            user,
            vhost,
        },
        guest,
    ))
}

/// Undoes %-escapes.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<Settings, BrokerError> {
        Settings::new(
            &AmqpConfig {
                url: url.into(),
                ..AmqpConfig::default()
            },
            Path::new("/"),
        )
    }

    #[test]
    fn an_address_is_read_whole() {
        let (place, _) = parse("amqps://us%40er@mq.example/a%2fb").unwrap();
        assert_eq!(
            (place.host.as_str(), place.port, place.tls),
            ("mq.example", 5671, true)
        );
        assert_eq!(
            (place.user.as_str(), place.vhost.as_str()),
            ("us@er", "a/b")
        );
        for (url, host, vhost) in [
            ("amqp://h", "h", "/"),
            ("amqp://h/", "h", "/"),
            ("amqp://10.0.0.1:1/%2f", "10.0.0.1", "/"),
            ("amqp://[::1]:5/v", "::1", "v"),
        ] {
            let (place, _) = parse(url).unwrap();
            assert_eq!(
                (place.host.as_str(), place.vhost.as_str()),
                (host, vhost),
                "{url}"
            );
        }
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
            Settings::new(&config, Path::new("/")).unwrap();
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
        let pauses: Vec<_> = Settings::new(&config, Path::new("/"))
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
    fn names_that_amqp_cannot_carry_are_refused() {
        for queue in [String::new(), "x".repeat(256), "amq.x".into()] {
            let config = AmqpConfig {
                queue,
                ..AmqpConfig::default()
            };
            assert!(
                Settings::new(&config, Path::new("/"))
                    .unwrap_err()
                    .to_string()
                    .contains("`queue`")
            );
        }
    }
}
