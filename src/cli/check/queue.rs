//! Check of the queue: it answers, the account has its rights, and a probe comes to its receipt.

use broker::{BrokerError, LoopOutcome, Side};
use connector_kit::CheckReport;
use contract::{PublicKey, ReceiptVerifier, SealedTokens, UnreadableReason};
use key_client::KeyClientError;

use super::section::{Section, add_error};
use crate::config::{LoadedConfig, RelayConfig};
use crate::gateway;

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
    let tokens = probe_tokens(loaded);
    let relay = relay.as_ref();
    let outcome = broker::check_loop_with(queue, &loaded.base, key, verifiers, relay, tokens);
    match outcome.await? {
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
                     and at the registry, which also answers none whose token ([tokens]) it does \
                     not take"
                }
                None => {
                    "the registry is busy, cannot reach its store, has no receipt_key, or wants \
                     one-use tokens and does not take this gateway's ([tokens]); look there. Behind \
                     a relay an answer takes up to the relay's longest delay"
                }
            },
        ),
    }
    Ok(())
}

/// Tokens of the probe, where a token issuer is configured: one of the fewest that it gives at once.
/// A probe without any would be refused, and counted as a forger's.
async fn probe_tokens(loaded: &LoadedConfig) -> Result<Option<SealedTokens>, BrokerError> {
    // A mistake in the section is told there.
    let Ok(Some(issuer)) = gateway::token_issuer(loaded) else {
        return Ok(None);
    };
    let tokens = issuer.batch_tokens(1).await.map_err(|error| match error {
        KeyClientError::Misconfigured { what, help } => BrokerError::Misconfigured { what, help },
        error => BrokerError::Retry {
            what: format!(
                "the queue can be reached; no probe was sent, for want of a token: {error}"
            ),
            is_of_the_connection: false,
        },
    })?;
    let token = tokens.into_iter().next();
    Ok(token.map(|batch| SealedTokens { batch, day: None }))
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
