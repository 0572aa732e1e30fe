//! The broker's address and the account there, out of the `url` of the configuration.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::BrokerError;

/// The account that RabbitMQ comes with, which it lets in over loopback only; no secret.
pub(super) const GUEST: &str = "guest";
/// Longest short string of AMQP 0-9-1, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// Address of the broker, and the account there; displayed as messages to people name the broker.
#[derive(Debug, Clone)]
pub(super) struct BrokerAddress {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// User name; empty where the URL gives none.
    pub(super) user: String,
    pub(super) vhost: String,
    /// True if the URL itself holds the password of RabbitMQ's own account.
    pub(super) guest_password: bool,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker at {}:{}", self.host, self.port)
    }
}

impl BrokerAddress {
    /// Reads `amqp://user@host:port/vhost`. Errors never quote the URL: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, BrokerError> {
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
        let user = unescaped(url.username())?;
        let guest_password = user == GUEST && url.password() == Some(GUEST);
        if url.password().is_some() && !guest_password {
            return Err(BrokerError::misconfigured(
                "`url` of [queue.amqp] holds a password",
                "take it out, change it, and give the new one as `password = { file = \"…\" }`",
            ));
        }
        let vhost = match url.path().strip_prefix('/').unwrap_or("") {
            "" => "/".to_owned(),
            path => unescaped(path)?,
        };
        if vhost.len() > MAX_NAME_BYTES {
            return Err(wrong("names a virtual host longer than 255 bytes"));
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
            tls,
            user,
            vhost,
            guest_password,
        })
    }

    /// Returns whether the broker runs on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn wrong(what: &str) -> BrokerError {
    BrokerError::misconfigured(
        format!("`url` of [queue.amqp] {what}"),
        "write amqp://user@host:port/vhost, or amqps:// for TLS",
    )
}

/// Undoes %-escapes.
fn unescaped(text: &str) -> Result<String, BrokerError> {
    decode_percent(text).ok_or_else(|| wrong("has a wrong %-escape"))
}

fn decode_percent(text: &str) -> Option<String> {
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

    #[test]
    fn an_address_is_read_whole() {
        let address = BrokerAddress::parse("amqps://us%40er@mq.example/a%2fb").unwrap();
        assert_eq!(
            (address.host.as_str(), address.port, address.tls),
            ("mq.example", 5671, true)
        );
        assert_eq!(
            (address.user.as_str(), address.vhost.as_str()),
            ("us@er", "a/b")
        );
        for (url, host, vhost) in [
            ("amqp://h", "h", "/"),
            ("amqp://h/", "h", "/"),
            ("amqp://10.0.0.1:1/%2f", "10.0.0.1", "/"),
            ("amqp://[::1]:5/v", "::1", "v"),
        ] {
            let address = BrokerAddress::parse(url).unwrap();
            assert_eq!(
                (address.host.as_str(), address.vhost.as_str()),
                (host, vhost),
                "{url}"
            );
        }
    }
}
