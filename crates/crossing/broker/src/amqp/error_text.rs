//! Texts for lapin's errors: what is wrong and what to change. Nothing of an error's own free text
//! is passed on.

use std::io;

use lapin::{Error, ErrorKind};
use tls_fault::{CertificateFault, TlsFault};

use super::address::BrokerAddress;
use super::precondition::Precondition;
use super::settings::AmqpSettings;
use crate::BrokerError;

/// Work on an open channel, with the name of the exchange or queue it is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChannelStep<'a> {
    Exchange(&'a str),
    Queue(&'a str),
    Bind(&'a str),
    Consume(&'a str),
    Publish(&'a str),
    /// Reading from an exchange through a queue of one's own.
    Subscribe(&'a str),
    /// Reading the queue of receipts that was made for the account.
    Receipts(&'a str),
}

impl<'a> ChannelStep<'a> {
    /// Name of the exchange or queue that it is about.
    pub(super) const fn name(self) -> &'a str {
        match self {
            Self::Exchange(name)
            | Self::Queue(name)
            | Self::Bind(name)
            | Self::Consume(name)
            | Self::Publish(name)
            | Self::Subscribe(name)
            | Self::Receipts(name) => name,
        }
    }

    /// Kind and name of what it is about.
    fn thing(self) -> String {
        let kind = match self {
            Self::Exchange(_) | Self::Publish(_) | Self::Subscribe(_) => "exchange",
            Self::Queue(_) | Self::Bind(_) | Self::Consume(_) | Self::Receipts(_) => "queue",
        };
        format!("the {kind} {}", self.name())
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Exchange(_) | Self::Queue(_) => "create",
            Self::Bind(_) => "bind",
            Self::Consume(_) | Self::Receipts(_) => "read",
            Self::Publish(_) => "publish to",
            Self::Subscribe(_) => "subscribe to",
        }
    }
}

/// Error for a name that does not resolve, which [`connecting`] recognises.
pub(super) fn unknown_host() -> io::Error {
    io::ErrorKind::AddrNotAvailable.into()
}

/// Explains why connecting or logging in failed.
pub(super) fn connecting(settings: &AmqpSettings, error: &Error) -> BrokerError {
    let address = &settings.address;
    match error.kind() {
        ErrorKind::IOError(error) => match TlsFault::find(error.as_ref()) {
            Some(fault @ (TlsFault::Refused | TlsFault::NothingInCommon))
                if settings.config.tls.cert_file.is_some() =>
            {
                without_tls_1_3(address, fault)
            }
            Some(fault) => tls(address, fault),
            None => network(address, error.kind()),
        },
        ErrorKind::ProtocolError(error) => {
            refused(address, error.get_id(), error.get_message().as_str())
        }
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::ParsingError(_) => {
            BrokerError::misconfigured(
                format!(
                    "what answers at {}:{} does not speak AMQP 0-9-1",
                    address.host, address.port
                ),
                "check host and port of `url`, and whether the port wants amqps://",
            )
        }
        ErrorKind::InvalidConnectionState(_) | ErrorKind::MissingHeartbeatError => {
            BrokerError::retry(format!(
                "{address} closed the connection while it was being made"
            ))
        }
        _ => BrokerError::retry(format!("connecting to {address} failed")),
    }
}

fn refused(address: &BrokerAddress, code: u16, text: &str) -> BrokerError {
    match code {
        403 => BrokerError::misconfigured(
            format!("{address} refused the login of user {:?}", address.user),
            "check the user in `url` and its `password`; guest may log in over loopback only",
        ),
        530 if text.contains("not found") => BrokerError::misconfigured(
            format!("{address} has no virtual host {:?}", address.vhost),
            "create it (rabbitmqctl add_vhost), or change the path of `url`",
        ),
        530 => BrokerError::misconfigured(
            format!(
                "{address} does not let user {:?} into the virtual host {:?}",
                address.user, address.vhost
            ),
            "grant access (rabbitmqctl set_permissions), or change the path of `url`",
        ),
        code => BrokerError::retry(format!(
            "{address} refused the connection with AMQP code {code}"
        )),
    }
}

fn network(address: &BrokerAddress, kind: io::ErrorKind) -> BrokerError {
    BrokerError::retry(match kind {
        io::ErrorKind::AddrNotAvailable => {
            format!("the broker's name {:?} cannot be resolved", address.host)
        }
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {}:{}", address.host, address.port)
        }
        io::ErrorKind::TimedOut => format!("{address} cannot be reached: no answer"),
        // In TLS 1.3 a server judges the client's certificate last, and its alert may be lost with
        // the connection.
        kind if hung_up(kind) && address.tls => {
            format!(
                "{address} hung up after the TLS handshake; it may want a client certificate, or \
                 not accept this one"
            )
        }
        kind if hung_up(kind) => {
            format!("{address} hung up on the greeting; does the port want amqps://?")
        }
        kind => format!("{address} cannot be reached: {kind}"),
    })
}

fn hung_up(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

fn tls(address: &BrokerAddress, fault: TlsFault) -> BrokerError {
    let name = format!("{}:{}", address.host, address.port);
    let what = fault.what(&name);
    let Some(help) = fault.help() else {
        return BrokerError::retry(what);
    };
    let own = match fault {
        TlsFault::ClientCertificate | TlsFault::Refused => {
            "`cert_file` and `key` of [queue.amqp.tls] give it"
        }
        TlsFault::NoTls => "the broker's TLS port is usually 5671; `url` says amqp:// or amqps://",
        TlsFault::Certificate(CertificateFault::WrongName) => {
            "it is the host of `url`, or `server_name` of [queue.amqp.tls]"
        }
        _ => "the broker's are settings of [queue.amqp.tls] here and of ssl_options there",
    };
    BrokerError::misconfigured(what, format!("{help} ({own})"))
}

/// Error of a broker that may lack TLS 1.3, where a client certificate is shown.
fn without_tls_1_3(address: &BrokerAddress, fault: TlsFault) -> BrokerError {
    let name = format!("{}:{}", address.host, address.port);
    let help = format!(
        "{} (`ssl_options.versions` of the broker; or take `cert_file` out of [queue.amqp.tls])",
        tls_fault::ONLY_TLS_1_3
    );
    BrokerError::misconfigured(fault.what(&name), help)
}

pub(super) fn connection_lost(address: &BrokerAddress) -> BrokerError {
    BrokerError::retry(format!("the connection to {address} was lost"))
}

/// Error of a broker that does not answer although the connection stands.
pub(super) fn fell_silent(address: &BrokerAddress) -> BrokerError {
    BrokerError::retry(format!("{address} fell silent"))
}

pub(super) fn acknowledgements_not_taken(address: &BrokerAddress) -> BrokerError {
    BrokerError::retry(format!("{address} takes no acknowledgements"))
}

/// Explains why a step on an open channel failed.
pub(super) fn on_channel(
    address: &BrokerAddress,
    step: ChannelStep<'_>,
    error: &Error,
) -> BrokerError {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return connection_lost(address);
    };
    let thing = step.thing();
    match error.get_id() {
        403 => forbidden(address, step, error.get_message().as_str()),
        // A queue whose node is down is "not found" as well, and comes back.
        404 if error.get_message().as_str().contains("down") => {
            BrokerError::retry(format!("{thing} is on a node that is down"))
        }
        404 => BrokerError::misconfigured(
            format!("{thing} does not exist"),
            match step {
                ChannelStep::Receipts(_) => OWN_QUEUE_MISSING_HELP,
                _ => MISSING_HELP,
            },
        ),
        405 => BrokerError::misconfigured(
            format!("{thing} belongs to another connection alone"),
            "write the name of another one, or end that connection",
        ),
        406 => precondition(address, step, error.get_message().as_str()),
        540 => BrokerError::misconfigured(
            format!("{address} does not know this kind of queue"),
            "use RabbitMQ 3.10 or later, or set `queue_kind = \"classic\"`",
        ),
        320 => BrokerError::retry(format!("{address} is shutting down")),
        code => BrokerError::retry(format!("{address} ended the work with AMQP code {code}")),
    }
}

/// Advice for an exchange or a queue of the city that is missing.
const MISSING_HELP: &str = "\
    let the registry run once with `declare = true`, its default: it makes the exchanges and \
    queues; if it has, compare the names in [queue.amqp] with the registry's";

/// Advice for the queue of receipts of one account that is missing. The registry does not make it.
const OWN_QUEUE_MISSING_HELP: &str = "\
    write the name of this account's queue as `receipts_queue`, or have the broker's administrator \
    make it (`receipts_queue NAME` of rabbitmq-setup.sh)";

/// Advice for a queue of receipts that is not the account's own one.
const OTHER_QUEUE_HELP: &str = "\
    write the name of this account's queue as `receipts_queue` (rabbitmq-setup.sh makes \
    clinic.receipts.NAME for the account NAME); if this is its own one, grant the right to read it \
    (rabbitmqctl set_permissions)";

/// Advice for a queue or exchange that is there with other arguments. Never to delete it: whatever
/// waits in it would be lost.
pub(super) const OTHER_ARGUMENTS_HELP: &str = "\
    set `declare = false` to use it as it is, and compare `rabbitmqctl list_queues name type \
    durable arguments policy` with `config/rabbitmq-setup.sh`; lengths, ages and limits are \
    better changed by a policy (rabbitmqctl set_policy), which needs no other queue; for the \
    rest let gateways and registry use a new name, and empty the old queue by a registry's `run \
    --drain` under the old name with `declare = false`";

/// Explains a code 406, which stands for unlike faults.
fn precondition(address: &BrokerAddress, step: ChannelStep<'_>, text: &str) -> BrokerError {
    let thing = step.thing();
    match (Precondition::of(text), step) {
        (Precondition::OtherArgument(name), _) => {
            let argument = name.map_or_else(String::new, |name| format!(", {name} among them"));
            BrokerError::misconfigured(
                format!("{thing} exists with other arguments{argument}"),
                OTHER_ARGUMENTS_HELP,
            )
        }
        (Precondition::AckTimeout, _) => BrokerError::retry(format!(
            "{address} took messages of {thing} back that were not acknowledged within its \
             consumer_timeout; they come again, and nothing is lost. If this goes on, look why \
             the store is slow, lower `prefetch` in [queue.amqp], or raise the timeout \
             (consumer_timeout in rabbitmq.conf, in ms)"
        )),
        (Precondition::TooLong(_), _) => BrokerError::retry(format!(
            "{address} closed the channel over a message that is longer than its \
             max_message_size; the others are sent again"
        )),
        (Precondition::UnknownDelivery, _) => BrokerError::retry(format!(
            "{address} no longer waits for an acknowledgement of {thing} that was sent to it; \
             what it had not taken comes again"
        )),
        (
            Precondition::Other,
            ChannelStep::Consume(_) | ChannelStep::Publish(_) | ChannelStep::Receipts(_),
        ) => BrokerError::retry(format!(
            "{address} ended the work on {thing} with AMQP code 406"
        )),
        (Precondition::Other, _) => BrokerError::misconfigured(
            format!(
                "{address} will not {} {thing} as it is configured",
                step.verb()
            ),
            "the broker's log says why; an argument may be one that this kind of queue, or this \
             version of the broker, does not know",
        ),
    }
}

/// Longest message of the broker, where the error is of one that was longer.
pub(super) fn told_limit(error: &Error) -> Option<u64> {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return None;
    };
    match Precondition::of(error.get_message().as_str()) {
        Precondition::TooLong(limit) if error.get_id() == 406 => limit,
        _ => None,
    }
}

fn forbidden(address: &BrokerAddress, step: ChannelStep<'_>, text: &str) -> BrokerError {
    let user = &address.user;
    let what = format!("user {user:?} may not {} {}", step.verb(), step.thing());
    match step {
        // The broker may not have noticed yet that an earlier connection is gone.
        _ if text.contains("exclusive") => BrokerError::retry(format!(
            "another connection of user {user:?} reads the queue of receipts"
        )),
        ChannelStep::Subscribe(_) => BrokerError::misconfigured(
            what,
            "grant it (rabbitmqctl set_permissions): to configure, write and read ^amq\\.gen-, and \
             to read the exchange; or set `receipts_queue` to a queue made for it",
        ),
        ChannelStep::Receipts(_) => BrokerError::misconfigured(what, OTHER_QUEUE_HELP),
        ChannelStep::Consume(_) | ChannelStep::Publish(_) => BrokerError::misconfigured(
            what,
            "grant it (rabbitmqctl set_permissions); docs/operations.md lists the rights under \
             \"RabbitMQ accounts\"",
        ),
        _ => BrokerError::misconfigured(
            what,
            "grant it (rabbitmqctl set_permissions), or set `declare = false` if others create \
             the queues",
        ),
    }
}
