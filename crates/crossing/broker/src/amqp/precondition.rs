//! AMQP code 406, PRECONDITION_FAILED, which the broker gives for unlike faults: they are told
//! apart by its text, of which nothing but known names and a number is passed on.

/// Fault behind a code 406.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition {
    /// An exchange or a queue is there with another argument than it was declared with; its name,
    /// where it is a known one.
    OtherArgument(Option<&'static str>),
    /// Messages were not acknowledged within the broker's consumer_timeout.
    AckTimeout,
    /// A message is longer than the broker's max_message_size, in bytes, where it is told.
    TooLong(Option<u64>),
    /// An acknowledgement named a delivery that the broker no longer waits for.
    UnknownDelivery,
    /// Anything else.
    Other,
}

/// Arguments that this program, or an operator in its place, gives to exchanges and queues.
const ARGUMENTS: [&str; 18] = [
    "type",
    "durable",
    "auto_delete",
    "exclusive",
    "internal",
    "x-queue-type",
    "x-max-length",
    "x-max-length-bytes",
    "x-message-ttl",
    "x-expires",
    "x-overflow",
    "x-delivery-limit",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-single-active-consumer",
    "x-queue-mode",
    "x-max-priority",
];

impl Precondition {
    /// Tells the fault by the broker's text.
    pub(super) fn of(text: &str) -> Self {
        if let Some((_, rest)) = text.split_once("inequivalent arg '") {
            let name = rest.split('\'').next().unwrap_or_default();
            let known = ARGUMENTS.iter().find(|known| **known == name);
            return Self::OtherArgument(known.copied());
        }
        if text.contains("acknowledgement") && text.contains("timed out") {
            return Self::AckTimeout;
        }
        if text.contains("message size") {
            let limit = text.split_once("max size").map(|(_, rest)| rest.trim());
            let digits = |rest: &str| {
                let end = rest.find(|c: char| !c.is_ascii_digit());
                rest[..end.unwrap_or(rest.len())].parse().ok()
            };
            return Self::TooLong(limit.and_then(digits));
        }
        if text.contains("unknown delivery tag") {
            return Self::UnknownDelivery;
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brokers_of_versions_3_and_4_say_is_told_apart() {
        for (text, expected) in [
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-max-length-bytes' for queue 'q' in \
                 vhost '/': received none but current is the value '7' of type 'long'",
                Precondition::OtherArgument(Some("x-max-length-bytes")),
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'ivanov' for queue 'q'",
                Precondition::OtherArgument(None),
            ),
            (
                "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout \
                 value used: 1800000 ms. This timeout value can be configured, see consumers doc \
                 guide to learn more",
                Precondition::AckTimeout,
            ),
            (
                "PRECONDITION_FAILED - message size 5242880 is larger than max size 4194304",
                Precondition::TooLong(Some(4_194_304)),
            ),
            (
                "PRECONDITION_FAILED - message size 65536 is larger than configured max size 20000",
                Precondition::TooLong(Some(20_000)),
            ),
            (
                "PRECONDITION_FAILED - message size 65536 is too large",
                Precondition::TooLong(None),
            ),
            (
                "PRECONDITION_FAILED - unknown delivery tag 7",
                Precondition::UnknownDelivery,
            ),
            ("PRECONDITION_FAILED - something new", Precondition::Other),
        ] {
            assert_eq!(Precondition::of(text), expected, "{text}");
        }
    }
}
