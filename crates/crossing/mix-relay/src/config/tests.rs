//! Tests of the configuration: the example, and every limit at its edge.

use std::path::Path;

use contract::MIN_SEALED_BYTES;

use super::*;

const EXAMPLE: &str = include_str!("../../../../../config/strong/mix-relay.toml");

fn parse(text: &str) -> Config {
    settings::parse(text, Path::new("x")).unwrap()
}

/// What is told of the example after a change.
fn said(change: impl FnOnce(&mut Config)) -> String {
    let mut config = parse(EXAMPLE);
    change(&mut config);
    let (what, help) = config.mistake().unwrap_or_default();
    format!("{what}; {help}")
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn keys(count: usize) -> Vec<SecretSource> {
    vec![SecretSource::Env("KEY".to_owned()); count]
}

#[test]
fn keys_of_the_outer_seal_are_few() {
    let with = |count, take_unsealed| {
        said(|config| {
            config.relay.private_keys = keys(count);
            config.relay.take_unsealed = take_unsealed;
        })
    };
    assert_eq!(with(0, false), "; ");
    assert_eq!(with(MAX_KEYS, true), "; ");
    assert!(with(MAX_KEYS + 1, false).contains("write 4 at most"));
    assert!(with(0, true).contains("take it out"));
}

fn account(name: &str) -> AccountConfig {
    AccountConfig {
        name: name.to_owned(),
        queue: None,
        exchange: None,
    }
}

#[test]
fn the_example_is_without_mistake_and_shows_the_defaults() {
    let config = parse(EXAMPLE);
    assert_eq!(config.mistake(), None);
    assert_eq!(config.mix, MixConfig::default());
    let usual = RelayConfig::default();
    assert_eq!(config.relay.state, usual.state);
    assert_eq!(config.relay.take_unsealed, usual.take_unsealed);
    assert_eq!(
        config.relay.private_keys.len(),
        1,
        "the key that `init` makes"
    );
    assert!(config.listen.is_none());
    let named = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let named: Vec<&str> = named.filter(|line| line.contains(".clinic-1")).collect();
    let shown = account("clinic-1");
    assert!(named[0].contains(&format!("queue = \"{}\"", shown.queue())));
    assert!(named[1].contains(&format!("exchange = \"{}\"", shown.exchange())));
}

/// Example with its commented sections switched on.
fn with_everything() -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn every_setting_of_the_example_can_be_switched_on() {
    let config = parse(&with_everything());
    assert_eq!(config.mistake(), None, "{}", with_everything());
    let escrow = config.escrow.unwrap();
    assert_eq!(escrow.max_mib, escrow_mib());
    assert!(config.listen.is_some());
    assert_eq!(config.accounts[0].queue(), account("clinic-1").queue());
}

#[test]
fn an_unknown_key_is_refused() {
    let text = EXAMPLE.replace("slot_seconds", "slot_second");
    let error = settings::parse::<Config>(&text, Path::new("x")).unwrap_err();
    assert!(error.to_string().contains("slot_second"), "{error}");
}

#[test]
fn accounts_are_few_and_have_what_is_theirs_alone() {
    let many = |count: usize| {
        said(|config| {
            config.mix.held_batches = NonZeroU16::MIN;
            config.mix.minimum_pool = NonZeroU32::MIN;
            config.mix.minimum_accounts = NonZeroU32::MIN;
            config.accounts = (0..count).map(|at| account(&format!("c-{at}"))).collect();
        })
    };
    assert_eq!(many(MAX_ACCOUNTS), "; ");
    assert!(many(MAX_ACCOUNTS + 1).contains("1 to 256"));
    assert!(many(0).contains("0 [[accounts]]"));
    let longest = "n".repeat(MAX_ACCOUNT_NAME);
    let named = |name: &str| said(|config| config.accounts[0].name = name.to_owned());
    assert_eq!(named(&longest), "; ");
    for name in ["", "a b", "a.b", "ä", &format!("{longest}n")] {
        assert!(named(name).contains("letters, digits"), "{name}");
    }
    assert!(named("clinic-2").contains("same name"));
    let shared = said(|config| config.accounts[0].queue = Some(config.accounts[1].queue()));
    assert!(shared.contains("same name, queue or exchange"), "{shared}");
}

#[test]
fn slots_and_delays_have_their_edges() {
    let slot = |seconds| {
        said(|config| {
            config.mix.slot_seconds = number(seconds);
            config.mix.maximum_delay_seconds = number(LONGEST_DELAY);
        })
    };
    assert_eq!(slot(1), "; ");
    assert_eq!(slot(LONGEST_SLOT), "; ");
    assert!(slot(LONGEST_SLOT + 1).contains("slot_seconds"));
    let delay = |seconds| said(|config| config.mix.maximum_delay_seconds = number(seconds));
    assert_eq!(delay(30), "; ");
    assert_eq!(delay(LONGEST_DELAY), "; ");
    for seconds in [29, LONGEST_DELAY + 1] {
        assert!(delay(seconds).contains("30 to 1200"), "{}", delay(seconds));
    }
    let batches = |count| said(|config| config.mix.batches_per_slot = number(count));
    assert_eq!(batches(LARGEST_SLOT), "; ");
    assert!(batches(LARGEST_SLOT + 1).contains("batches_per_slot"));
}

#[test]
fn a_pool_that_never_fills_is_refused() {
    let pool = |count| said(|config| config.mix.minimum_pool = number(count));
    assert_eq!(pool(3 * 16), "; ");
    assert!(pool(3 * 16 + 1).contains("48"));
    let accounts = |count| said(|config| config.mix.minimum_accounts = number(count));
    assert_eq!(accounts(3), "; ");
    assert!(accounts(4).contains("number of accounts, 3"));
}

#[test]
fn memory_is_bounded_by_the_configuration() {
    let exact = parse(EXAMPLE).mix.memory_needed(3);
    assert_eq!(
        exact,
        2 * 3 * 16 * (MAX_SEALED_BYTES + RELAY_SEAL_BYTES) as u64
    );
    let memory = |bytes| said(|config| config.mix.memory_bytes = bytes);
    assert_eq!(memory(exact), "; ");
    assert!(memory(exact - 1).contains("memory_bytes"));
    assert_eq!(memory(MOST_MEMORY_BYTES), "; ");
    assert!(memory(MOST_MEMORY_BYTES + 1).contains("at most"));
    let largest = |bytes| said(|config| config.mix.largest_batch_bytes = bytes);
    assert_eq!(largest(MIN_SEALED_BYTES), "; ");
    for bytes in [MIN_SEALED_BYTES - 1, MAX_SEALED_BYTES + 1] {
        assert!(largest(bytes).contains("4172 to 1048652"));
    }
    let held = |count| {
        said(|config| {
            config.mix.held_batches = NonZeroU16::new(count).unwrap();
            config.mix.memory_bytes = MOST_MEMORY_BYTES;
        })
    };
    assert_eq!(held(MOST_HELD), "; ");
    assert!(held(MOST_HELD + 1).contains("held_batches"));
}

fn amqp(side: &mut QueueConfig) -> &mut AmqpConfig {
    match side {
        QueueConfig::Amqp(amqp) => amqp,
        QueueConfig::Directory(_) => panic!("the example has two brokers"),
    }
}

#[test]
fn the_two_brokers_are_two_and_have_what_they_need() {
    let same = said(|config| {
        let url = amqp(&mut config.outside).url.clone();
        amqp(&mut config.inside).url = url;
    });
    assert!(same.contains("the same broker"), "{same}");
    let without = said(|config| amqp(&mut config.inside).receipts_queue = None);
    assert!(without.contains("no receipts_queue"), "{without}");
    let with = said(|config| amqp(&mut config.outside).receipts_queue = Some("q".into()));
    assert!(with.contains("has a receipts_queue"), "{with}");
    let named = said(|config| amqp(&mut config.outside).queue = "q".into());
    assert!(named.contains("at the [[accounts]]"), "{named}");
    let prefetch = said(|config| amqp(&mut config.outside).prefetch = NonZeroU16::MIN);
    assert!(prefetch.contains("held_batches"), "{prefetch}");
}

#[test]
fn directories_take_the_place_of_either_broker_and_lie_apart() {
    let directory = |path: &str| QueueConfig::Directory(DirectoryConfig::at(path));
    let with = |outside: &str, inside: &str| {
        said(|config| {
            config.outside = directory(outside);
            config.inside = directory(inside);
        })
    };
    assert_eq!(with("clinics", "registry"), "; ");
    assert_eq!(with("clinics", "clinics-registry"), "; ");
    for (outside, inside) in [("a", "a"), ("a", "a/b"), ("a/b", "a/."), ("a/", "a")] {
        let told = with(outside, inside);
        assert!(told.contains("one lies in the other"), "{outside} {inside}");
    }
    assert_eq!(said(|config| config.outside = directory("a")), "; ");
    assert_eq!(said(|config| config.inside = directory("a")), "; ");
    let named = said(|config| {
        config.outside = directory("a");
        config.accounts[0].queue = Some("q".to_owned());
    });
    assert!(named.contains("take them out"), "{named}");
    let text = "[[accounts]]\nname = \"c\"\n[outside.directory]\npath = \"clinics\"\n\
                [inside.directory]\npath = \"registry\"\n";
    let config = parse(text);
    let of_account = config.outside_of(&config.accounts[0]);
    assert_eq!(of_account, directory("clinics/c"));
    assert_eq!(config.outside_receipts(), [of_account]);
}
