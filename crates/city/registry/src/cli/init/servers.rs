//! Sections of the servers that `init` was given the addresses of, in place of the example's file
//! and directory.

use std::path::Path;

use program::{Address, Failure, quoted};

/// Sections of the example that stand for other places, up to the blank line or the next section.
const SQLITE: &str = "[store.sqlite]\n";
const POSTGRES: &str = "# [store.postgres]";
const DIRECTORY: &str = "[queue.directory]\n";
const AMQP: &str = "# [queue.amqp]\n";

/// Store in PostgreSQL.
pub(super) struct Store {
    address: Address,
    password_file: String,
}

/// Queue in RabbitMQ.
pub(super) struct Queue {
    url: String,
    pub account: String,
    vhost: String,
    password_file: String,
}

fn named(file: Option<&Path>, usual: &str) -> String {
    file.map_or_else(
        || usual.to_owned(),
        |file| file.to_string_lossy().into_owned(),
    )
}

impl Store {
    /// Reads `postgres://account@host:port/database`.
    pub(super) fn parse(url: &str, password_file: Option<&Path>) -> Result<Self, Failure> {
        let address = Address::parse(url, "--store", "--store-password-file")?;
        let is_postgres = matches!(address.scheme.as_str(), "postgres" | "postgresql");
        if !is_postgres || address.path.is_empty() || address.user.is_none() {
            return Err(Failure::Usage(
                "--store: write postgres://account@host:5432/database; without --store an SQLite \
                 file is used"
                    .into(),
            ));
        }
        Ok(Self {
            address,
            password_file: named(password_file, "postgres.password"),
        })
    }

    /// The configuration with this store in place of the example's file.
    pub(super) fn written_into(&self, config: &str) -> String {
        let Address {
            user,
            host,
            port,
            path,
            ..
        } = &self.address;
        let port = port.map_or_else(String::new, |port| format!("port = {port}\n"));
        let section = format!(
            "[store.postgres]\nhost = {}\n{port}database = {}\nuser = {}\npassword = {{ file = {} \
             }}\n# Further settings:\n",
            quoted(host),
            quoted(path),
            quoted(user.as_deref().unwrap_or_default()),
            quoted(&self.password_file)
        );
        let config = commented(config, SQLITE);
        before(&config, POSTGRES, &section)
    }
}

impl Queue {
    /// Reads `amqps://account@host:port/vhost`.
    pub(super) fn parse(url: &str, password_file: Option<&Path>) -> Result<Self, Failure> {
        let address = Address::parse(url, "--queue", "--queue-password-file")?;
        address.refuse_clear_broker("--queue")?;
        let account = address
            .user
            .filter(|_| matches!(address.scheme.as_str(), "amqp" | "amqps"));
        let account = account.ok_or_else(|| {
            Failure::Usage(
                "--queue: write amqps://account@host:5671/vhost; without --queue a directory is \
                 used"
                    .into(),
            )
        })?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !account.bytes().all(plain) {
            return Err(Failure::Usage(
                "--queue: the account's name may have letters, digits, - and _ only".into(),
            ));
        }
        Ok(Self {
            url: url.to_owned(),
            account,
            vhost: address.path,
            password_file: named(password_file, "broker.password"),
        })
    }

    /// The virtual host, if it is not the broker's own `/`.
    pub(super) fn own_vhost(&self) -> Option<&str> {
        Some(self.vhost.as_str()).filter(|vhost| !matches!(*vhost, "" | "/"))
    }

    /// The configuration with this queue in place of the example's directory.
    pub(super) fn written_into(&self, config: &str) -> String {
        let section = format!(
            "[queue.amqp]\nurl = {}\npassword = {{ file = {} }}\n# Further settings:\n",
            quoted(&self.url),
            quoted(&self.password_file)
        );
        let config = commented(config, DIRECTORY);
        before(&config, AMQP, &section)
    }
}

/// Text with a section, up to the next blank line, turned into comments.
fn commented(text: &str, section: &str) -> String {
    let Some(begin) = text.find(section) else {
        return text.to_owned();
    };
    let end = text[begin..]
        .find("\n\n")
        .map_or(text.len(), |at| begin + at);
    let off: Vec<String> = text[begin..end]
        .lines()
        .map(|line| {
            if line.starts_with('#') {
                line.to_owned()
            } else {
                format!("# {line}")
            }
        })
        .collect();
    format!("{}{}{}", &text[..begin], off.join("\n"), &text[end..])
}

/// Text with a section put before another one, which begins a line.
fn before(text: &str, other: &str, section: &str) -> String {
    match text.find(other) {
        Some(at) => format!("{}{section}{}", &text[..at], &text[at..]),
        None => format!("{text}\n{section}"),
    }
}
