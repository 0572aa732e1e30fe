//! Addresses on the command line: where a database, a FHIR server or a broker is, and the account
//! there. A password is refused in them: other users of the machine see a command line.

use std::net::IpAddr;

use crate::Failure;

/// Address of a server, in its parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme in small letters.
    pub scheme: String,
    /// Account, if one is named.
    pub user: Option<String>,
    /// Host name, or address without brackets.
    pub host: String,
    /// Port, if one is named.
    pub port: Option<u16>,
    /// What stands behind the host, without the first slash.
    pub path: String,
}

impl Address {
    /// Reads `scheme://user@host:port/path`. `option` is where it stands, and `secret` the option
    /// that the password's file belongs to. What is wrong is not quoted: it may hold a password.
    ///
    /// # Errors
    /// [`Failure::Usage`], with what to write.
    pub fn parse(text: &str, option: &str, secret: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::Usage(format!("{option}: {what}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            match text.starts_with(['/', '.']) {
                true => wrong(
                    "this is a path; write an address, scheme://user@host:port/name (--help names \
                     the option for a folder or a file)",
                ),
                false => wrong("write it as scheme://user@host:port/name"),
            }
        })?;
        if rest.contains(['?', '#']) {
            return Err(wrong(
                "nothing may follow a ? or #; TLS and further settings go into the file",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong(&format!(
                "the address holds a password, which everybody on this machine could see; take it \
                 out, write it into a file of mode 0600 and name that with {secret}"
            )));
        }
        let (host, port) = host_and_port(place).ok_or_else(|| wrong("the port is no number"))?;
        if host.is_empty() {
            return Err(wrong("the host is missing: scheme://user@host:port/name"));
        }
        let text = |part: &str| decoded(part).ok_or_else(|| wrong("a % stands without two digits"));
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user: user.filter(|user| !user.is_empty()).map(text).transpose()?,
            host,
            port,
            path: text(path)?,
        })
    }
}

impl Address {
    /// Returns whether the server is on this machine, so that nothing travels in clear to another.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Refuses a broker on another machine to which the password would travel in clear. `option` is
    /// where the address stands.
    ///
    /// # Errors
    /// [`Failure::Usage`], with what to write.
    pub fn refuse_clear_broker(&self, option: &str) -> Result<(), Failure> {
        if self.scheme != "amqp" || self.is_here() {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{option}: amqp:// to another machine would send it the password in clear, and the \
             programs refuse it; write amqps://. Where something else encrypts the way, leave \
             {option} out and write [queue.amqp] into the file, with allow_plain = true"
        )))
    }
}

/// Host and port; an address of IPv6 stands in brackets.
fn host_and_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    Some((host.to_owned(), port))
}

/// Text with its `%` codes as the letters that they stand for.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(behind.get(..2)?, 16).ok()?);
        rest = &behind[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// Text as a string of TOML.
#[must_use]
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(text, "--look", "--password-file").map_err(|error| error.to_string())
    }

    #[test]
    fn the_parts_of_an_address_are_told() {
        let parts = |text| {
            let address = parse(text).expect(text);
            (address.user, address.host, address.port, address.path)
        };
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(
            parts("postgres://reader@mis:5433/clinic"),
            (own("reader"), "mis".into(), Some(5433), "clinic".into())
        );
        assert_eq!(
            parts("amqps://g%40x@[::1]:5671/a%2Fb"),
            (own("g@x"), "::1".into(), Some(5671), "a/b".into())
        );
        assert_eq!(
            parts("mysql://mis"),
            (None, "mis".into(), None, String::new())
        );
    }

    #[test]
    fn a_broker_elsewhere_is_not_named_without_tls() {
        let refused = |text: &str| {
            let address = parse(text).expect(text);
            address.refuse_clear_broker("--queue").err()
        };
        for fine in [
            "amqps://g@mq.city/registry",
            "amqp://g@localhost/",
            "amqp://g@127.0.0.1:5672/registry",
            "amqp://g@[::1]/",
        ] {
            assert!(refused(fine).is_none(), "{fine}");
        }
        for clear in ["amqp://g@mq.city", "amqp://g@10.0.0.7/registry"] {
            let told = refused(clear).expect(clear).to_string();
            assert!(
                told.contains("amqps://") && told.contains("allow_plain"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in [
            "postgres://reader:hunter2@mis/clinic",
            "postgres://mis/clinic?password=hunter2",
            "postgres://mis:hunter2/clinic",
            "hunter2",
        ] {
            let error = parse(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = parse("mysql://r:x@mis/c").expect_err("a password");
        assert!(error.contains("--password-file"), "{error}");
    }
}
