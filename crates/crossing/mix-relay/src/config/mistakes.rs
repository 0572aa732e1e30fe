//! Mistakes of a configuration that its types cannot express, with what to write instead.

use std::collections::BTreeSet;
use std::path::Path;

use broker::{AmqpConfig, QueueConfig};
use contract::{MAX_SEALED_BYTES, MIN_SEALED_BYTES};

use super::{
    AccountConfig, Config, LARGEST_SLOT, LONGEST_DELAY, LONGEST_SLOT, MAX_ACCOUNT_NAME,
    MAX_ACCOUNTS, MAX_KEYS, MOST_HELD, MOST_MEMORY_BYTES,
};

/// Mistake and what to write instead.
type Mistake = Option<(String, String)>;

impl Config {
    /// Mistake that the types cannot express, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Mistake {
        self.accounts_mistake()
            .or_else(|| self.keys_mistake())
            .or_else(|| self.slots_mistake())
            .or_else(|| self.pool_mistake())
            .or_else(|| self.memory_mistake())
            .or_else(|| self.outside_mistake())
            .or_else(|| self.inside_mistake())
    }

    fn accounts_mistake(&self) -> Mistake {
        let accounts = self.accounts.len();
        if !(1..=MAX_ACCOUNTS).contains(&accounts) {
            return mistake(
                format!("there are {accounts} [[accounts]]"),
                format!("write 1 to {MAX_ACCOUNTS} of them"),
            );
        }
        if !self.accounts.iter().all(|account| is_name(&account.name)) {
            return mistake(
                "the name of one of the [[accounts]] is not of the form that metrics and queues \
                 take",
                format!("write 1 to {MAX_ACCOUNT_NAME} letters, digits, - and _"),
            );
        }
        let names: BTreeSet<&str> = self.accounts.iter().map(|it| it.name.as_str()).collect();
        let queues: BTreeSet<String> = self.accounts.iter().map(AccountConfig::queue).collect();
        let exchanges: BTreeSet<String> =
            self.accounts.iter().map(AccountConfig::exchange).collect();
        if names.len().min(queues.len()).min(exchanges.len()) < accounts {
            return mistake(
                "two [[accounts]] have the same name, queue or exchange",
                "give every account its own; who shares a queue could fill it for the other",
            );
        }
        None
    }

    fn keys_mistake(&self) -> Mistake {
        let relay = &self.relay;
        if relay.private_keys.len() > MAX_KEYS {
            return mistake(
                format!("there are {} relay.private_keys", relay.private_keys.len()),
                format!("write {MAX_KEYS} at most; take out those that no gateway seals to"),
            );
        }
        if relay.take_unsealed && relay.private_keys.is_empty() {
            return mistake(
                "relay.take_unsealed is true, and there are no relay.private_keys",
                "take it out: without keys every batch is taken as it comes",
            );
        }
        None
    }

    fn slots_mistake(&self) -> Mistake {
        let mix = &self.mix;
        let slot = mix.slot_seconds.get();
        let delay = mix.maximum_delay_seconds.get();
        if slot > LONGEST_SLOT {
            return mistake(
                "mix.slot_seconds is too large",
                format!("write 1 to {LONGEST_SLOT}"),
            );
        }
        if !(slot..=LONGEST_DELAY).contains(&delay) {
            return mistake(
                "mix.maximum_delay_seconds is shorter than a slot, or too large",
                format!(
                    "write {slot} to {LONGEST_DELAY}: RabbitMQ takes messages back that are not \
                     acknowledged for half an hour"
                ),
            );
        }
        if mix.batches_per_slot.get() > LARGEST_SLOT {
            return mistake(
                "mix.batches_per_slot is too large",
                format!("write 1 to {LARGEST_SLOT}"),
            );
        }
        None
    }

    fn pool_mistake(&self) -> Mistake {
        let mix = &self.mix;
        if mix.held_batches.get() > MOST_HELD {
            return mistake(
                "mix.held_batches is too large",
                format!("write 1 to {MOST_HELD}"),
            );
        }
        let accounts = self.accounts.len() as u64;
        let held = accounts * u64::from(mix.held_batches.get());
        if u64::from(mix.minimum_accounts.get()) > accounts {
            return mistake(
                format!("mix.minimum_accounts is above the number of accounts, {accounts}"),
                "write that number at most; otherwise every batch waits for its longest delay",
            );
        }
        if u64::from(mix.minimum_pool.get()) > held {
            return mistake(
                format!("mix.minimum_pool is more than is ever held: {held}"),
                "write that number at most, or more held_batches",
            );
        }
        None
    }

    fn memory_mistake(&self) -> Mistake {
        let mix = &self.mix;
        if !(MIN_SEALED_BYTES..=MAX_SEALED_BYTES).contains(&mix.largest_batch_bytes) {
            return mistake(
                "mix.largest_batch_bytes is not the length of a sealed batch",
                format!(
                    "write {MIN_SEALED_BYTES} to {MAX_SEALED_BYTES}; the longest may be made by \
                     any gateway, and a lower number keeps it at its clinic"
                ),
            );
        }
        if mix.memory_bytes > MOST_MEMORY_BYTES {
            return mistake(
                "mix.memory_bytes is too large",
                format!("write {MOST_MEMORY_BYTES} at most"),
            );
        }
        let needed = mix.memory_needed(self.accounts.len());
        if needed > mix.memory_bytes {
            return mistake(
                format!(
                    "batches may take {needed} bytes of memory, and mix.memory_bytes is {}",
                    mix.memory_bytes
                ),
                format!(
                    "write more memory_bytes, up to {MOST_MEMORY_BYTES}, where the machine has \
                     it; or fewer held_batches"
                ),
            );
        }
        None
    }

    fn outside_mistake(&self) -> Mistake {
        let outside = match &self.outside {
            QueueConfig::Amqp(outside) => outside,
            QueueConfig::Directory(_) => return self.names_mistake(),
        };
        let usual = AmqpConfig::default();
        if outside.queue != usual.queue || outside.exchange != usual.exchange {
            return mistake(
                "[outside.amqp] names a queue or an exchange",
                "write them at the [[accounts]]: every account has its own",
            );
        }
        if outside.prefetch != usual.prefetch {
            return mistake(
                "[outside.amqp] has a prefetch",
                "write mix.held_batches instead",
            );
        }
        if outside.receipts_queue.is_some() {
            return mistake(
                "[outside.amqp] has a receipts_queue",
                "take it out: receipts are read inside, and published outside",
            );
        }
        None
    }

    /// Mistake of accounts that have names at a broker, where there is none.
    fn names_mistake(&self) -> Mistake {
        let named = |account: &AccountConfig| account.queue.is_some() || account.exchange.is_some();
        if self.accounts.iter().any(named) {
            return mistake(
                "one of the [[accounts]] names a queue or an exchange, and outside is a directory",
                "take them out: the directory of an account is outside.directory.path and its name",
            );
        }
        None
    }

    fn inside_mistake(&self) -> Mistake {
        let inside = match (&self.inside, &self.outside) {
            (QueueConfig::Directory(inside), QueueConfig::Directory(outside)) => {
                return one_inside_the_other(&inside.path, &outside.path);
            }
            (QueueConfig::Directory(_), QueueConfig::Amqp(_)) => return None,
            (QueueConfig::Amqp(inside), _) => inside,
        };
        if inside.receipts_queue.is_none() {
            return mistake(
                "[inside.amqp] has no receipts_queue",
                "name the relay's queue of receipts, as `gateway_account` of rabbitmq-setup.sh \
                 makes it: receipts wait there while the relay is away",
            );
        }
        if let QueueConfig::Amqp(outside) = &self.outside
            && inside.url == outside.url
        {
            return mistake(
                "[outside.amqp] and [inside.amqp] are the same broker",
                "name two brokers, or two virtual hosts: receipts would go round and round, and \
                 the registry's side would see who connects",
            );
        }
        None
    }
}

/// Mistake of two directories of which one lies in the other, or which are one, as they are
/// written.
fn one_inside_the_other(inside: &Path, outside: &Path) -> Mistake {
    if !inside.starts_with(outside) && !outside.starts_with(inside) {
        return None;
    }
    mistake(
        "of inside.directory.path and outside.directory.path one lies in the other",
        "name two folders apart: receipts would go round and round, and who reads one queue could \
         read the other",
    )
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_ACCOUNT_NAME).contains(&name.len()) && name.bytes().all(fits)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every caller returns an optional mistake"
)]
fn mistake(what: impl Into<String>, help: impl Into<String>) -> Mistake {
    Some((what.into(), help.into()))
}
