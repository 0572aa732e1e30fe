//! Check of the queue: it answers, the account has its rights, and a probe comes to its receipt.

use broker::{BrokerError, LoopOutcome, Side};
use connector_kit::CheckReport;
use contract::{PublicKey, ReceiptVerifier, UnreadableReason};

use super::section::{Section, add_error};
use crate::config::{LoadedConfig, RelayConfig};

pub(super) async fn section(loaded: &LoadedConfig) -> Section {
    let mut report = CheckReport::default();
    if let Some(warning) = loaded.config.queue.plain_warning() {
        report.warn(warning, "write amqps:// and take allow_plain out");
    }
    if let Err(error) = look(&mut report, loaded).await {
        add_broker_error(&mut report, error);
    }
    Section::new("queue", report)
}

async fn look(report: &mut CheckReport, loaded: &LoadedConfig) -> Result<(), BrokerError> {
    let queue = &loaded.config.queue;
    for finding in broker::check(queue, &loaded.base).await? {
        report.good(finding);
    }
    let findings = broker::check_rights(queue, &loaded.base, Side::Gateway).await?;
    for finding in findings {
        match finding.help {
            None => report.good(finding.text),
            Some(help) => report.warn(finding.text, help),
        }
    }
    let registry = &loaded.config.registry;
    let key = match PublicKey::from_text(&registry.public_key) {
        Ok(key) => key,
        Err(error) => {
            add_error(report, &error);
            return Ok(());
        }
    };
    match registry.verifiers() {
        Ok(verifiers) if verifiers.is_empty() => {}
        Ok(verifiers) => go_round(report, loaded, &key, &verifiers).await?,
        Err(error) => add_error(report, &error),
    }
    Ok(())
}

/// Sends a probe through the queue to the registry, and says what came back.
async fn go_round(
    report: &mut CheckReport,
    loaded: &LoadedConfig,
    key: &PublicKey,
    verifiers: &[ReceiptVerifier],
) -> Result<(), BrokerError> {
    let queue = &loaded.config.queue;
    let relay = loaded
        .config
        .relay
        .as_ref()
        .map(RelayConfig::sealer)
        .transpose();
    let relay = match relay {
        Ok(relay) => relay,
        Err(error) => {
            add_error(report, &error);
            return Ok(());
        }
    };
    if let Some(relay) = &relay {
        report.good(format!(
            "batches are sealed once more, to the relay {relay}"
        ));
    }
    match broker::check_loop(queue, &loaded.base, key, verifiers, relay.as_ref()).await? {
        LoopOutcome::Answered => {
            report.good("a sealed probe went to the registry, and its signed receipt came back");
        }
        LoopOutcome::Unreadable(UnreadableReason::OtherKey) => report.error(
            "the registry cannot open what is sealed to public_key",
            "compare public_key in [registry] with `city-registry keys public`",
        ),
        LoopOutcome::Unreadable(reason) => report.error(
            format!("the registry cannot read a probe ({})", reason.as_str()),
            "it may be older or newer than this gateway: compare the versions",
        ),
        LoopOutcome::NoReader => report.warn(
            match relay {
                Some(_) => "no relay reads the queue now, so no probe was sent",
                None => "no registry reads the queue now, so no probe was sent",
            },
            "batches wait until it runs; check again then",
        ),
        LoopOutcome::ReceiptsTaken => report.good(
            "the running gateway reads this account's queue of receipts, so no probe was sent",
        ),
        LoopOutcome::NoAnswer {
            other_signatures: true,
        } => report.error(
            "no answer to a probe within 15 s; the receipts that came are signed with another key, \
             so no batch would ever be settled",
            "compare receipt_keys in [registry] with `city-registry keys public`",
        ),
        LoopOutcome::NoAnswer {
            other_signatures: false,
        } => report.warn(
            "no answer to a probe within 15 s",
            match relay {
                Some(_) => {
                    "behind a relay an answer takes up to the relay's longest delay. If none comes \
                     later either: compare public_key in [relay] with `mix-relay keys show`, since \
                     the relay throws away what is sealed to another key; then look at the relay, \
                     and at the registry"
                }
                None => {
                    "the registry is busy, cannot reach its store, or has no receipt_key; look \
                     there. Behind a relay an answer takes up to the relay's longest delay"
                }
            },
        ),
    }
    Ok(())
}

fn add_broker_error(report: &mut CheckReport, error: BrokerError) {
    match error {
        BrokerError::Misconfigured { what, help } => report.error(what, help),
        BrokerError::TooLong { .. } => report.error(
            error.to_string(),
            "set max_message_size = 4194304 or more at the broker; until then batches that are as \
             long wait in the outbox",
        ),
        BrokerError::Retry { what, .. } => report.away(
            what,
            "start it, or mend the [queue] section; `run` would keep trying meanwhile",
        ),
    }
}
