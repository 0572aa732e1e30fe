//! The section of a RabbitMQ queue, and the commands that make its account at the broker.

use std::path::Path;

use program::terminal::print_line;
use program::{Address, Failure, quoted};

/// Lines of the example between which the queue stands, and the lines that it ends before.
const QUEUE: &str = "# How sealed batches travel: a directory …";
const AFTER: &str = "[outbox]";

/// A broker as `--queue` names it.
pub(super) struct Broker {
    url: String,
    user: String,
    vhost: String,
    password_file: Option<String>,
    ca_file: Option<String>,
}

impl Broker {
    /// Reads `amqps://user@host:port/vhost`; the files are named as the configuration is to name
    /// them.
    pub(super) fn parse(
        url: &str,
        password_file: Option<&Path>,
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let address = Address::parse(url, "--queue", "--queue-password-file")?;
        if !matches!(address.scheme.as_str(), "amqp" | "amqps") {
            return Err(Failure::Usage(
                "--queue: the address begins with amqps:// (or amqp:// on this machine)".into(),
            ));
        }
        address.refuse_clear_broker("--queue")?;
        let user = address.user.ok_or_else(|| {
            Failure::Usage("--queue: the account is missing: amqps://NAME@host:port/vhost".into())
        })?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !user.bytes().all(plain) {
            return Err(Failure::Usage(
                "--queue: the account's name may have letters, digits, - and _ only, since its \
                 queue is named after it"
                    .into(),
            ));
        }
        let vhost = if address.path.is_empty() {
            "/".to_owned()
        } else {
            address.path
        };
        let path = |path: &Path| path.to_string_lossy().into_owned();
        Ok(Self {
            url: url.to_owned(),
            user,
            vhost,
            password_file: password_file.map(path),
            ca_file: ca_file.map(path),
        })
    }

    /// The configuration's head with this queue in place of the example's.
    pub(super) fn written_into(&self, head: &str) -> String {
        let Some((before, rest)) = head.split_once(QUEUE) else {
            return format!("{head}\n{}", self.section());
        };
        let after = rest.find(AFTER).map_or("", |at| &rest[at..]);
        format!("{before}{}\n{after}", self.section())
    }

    fn section(&self) -> String {
        let file = self.password_file.as_deref().unwrap_or("broker-password");
        let mut text = format!(
            "# How sealed batches travel: RabbitMQ. The city makes exchanges and queues, and the \
             queue of receipts for \
             this account.\n[queue.amqp]\nurl = {}\npassword = {{ file = {} }}\ndeclare = \
             false\nreceipts_queue = {}\n",
            quoted(&self.url),
            quoted(file),
            quoted(&format!("clinic.receipts.{}", self.user)),
        );
        if let Some(ca) = &self.ca_file {
            text += &format!("[queue.amqp.tls]\nca_file = {}\n", quoted(ca));
        }
        text
    }

    /// Prints what the broker's administrator runs for this account.
    pub(super) fn print_commands(&self) {
        print_line(
            "at the broker, as its administrator, with the city's rabbitmq-setup.sh (the \
             password is \
             asked for; put the same into the file of the configuration, mode 0600):",
        );
        self.commands()
            .iter()
            .for_each(|line| print_line(format!("  {line}")));
    }

    fn commands(&self) -> Vec<String> {
        let mut lines = vec![". ./rabbitmq-setup.sh".to_owned()];
        if self.vhost != "/" {
            lines.push(format!("VHOST={}", settings::shell_quoted(&self.vhost)));
        }
        lines.push(format!("gateway_account {}", self.user));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::HEAD;

    #[test]
    fn the_queue_of_the_address_replaces_the_examples() {
        let url = "amqps://clinic-1@broker.city:5671/registry";
        let broker = Broker::parse(url, Some(Path::new("bp")), Some(Path::new("ca.pem")))
            .unwrap_or_else(|error| panic!("{error}"));
        let text = broker.written_into(HEAD);
        let parsed: toml::Table = toml::from_str(&text).expect("TOML");
        let queue = &parsed["queue"];
        assert!(queue.get("directory").is_none());
        let amqp: broker::AmqpConfig = queue["amqp"].clone().try_into().expect("a section");
        assert_eq!(amqp.url, url);
        assert_eq!(
            amqp.receipts_queue.as_deref(),
            Some("clinic.receipts.clinic-1")
        );
        assert!(!amqp.declare && amqp.tls.ca_file.is_some());
        assert!(parsed.contains_key("outbox") && parsed.contains_key("registry"));
        assert_eq!(
            broker.commands(),
            [
                ". ./rabbitmq-setup.sh",
                "VHOST=registry",
                "gateway_account clinic-1"
            ]
        );
    }

    #[test]
    fn an_address_without_an_account_or_with_a_password_is_refused() {
        for (url, part) in [
            ("amqps://broker/registry", "account is missing"),
            ("amqps://a:hunter2@broker/", "--queue-password-file"),
            ("https://a@broker/", "amqps://"),
            ("amqp://a@broker/", "password in clear"),
            ("amqps://a%20b@broker/", "letters, digits"),
        ] {
            let error = Broker::parse(url, None, None)
                .err()
                .map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(
                error.contains(part) && !error.contains("hunter2"),
                "{url}: {error}"
            );
        }
    }
}
