//! `mix-relay check`: reads and tries everything, and prints what it found.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use broker::{BrokerError, QueueConfig, Side};
use program::{CheckLayout, Failure, Findings};
use telemetry::{Disk, DiskState};

use super::config_file::LoadedConfig;
use crate::form::Form;
use crate::senders::Senders;

/// Failure of a broker that is away, or of something that has to be changed.
pub(super) fn broker_failure(error: &BrokerError) -> Failure {
    Failure::by(error.is_retry(), error)
}

/// Failure of the clinics' broker, with what helps there: its queues are made for accounts.
fn outside_failure(account: &str, error: &BrokerError) -> Failure {
    match error {
        BrokerError::Misconfigured { what, .. } if what.contains("does not exist") => {
            Failure::Change(format!(
                "account {account}: {what}; call clinic_account {account}, or clinic_queues \
                 {account}, of clinic-broker-setup.sh, or take the account out of [[accounts]]"
            ))
        }
        _ => Failure::by(error.is_retry(), format!("account {account}: {error}")),
    }
}

pub(super) async fn check(loaded: &LoadedConfig) -> Result<(), Failure> {
    let mut found = Findings::new(CheckLayout::Rows);
    check_mix(loaded, &found);
    check_keys(loaded, &mut found);
    check_state(loaded, &mut found);
    check_escrow(loaded, &mut found);
    check_inside(loaded, &mut found).await;
    check_outside(loaded, &mut found).await;
    check_listen(loaded, &mut found).await;
    found.outcome("something is away, see above")
}

fn check_mix(loaded: &LoadedConfig, found: &Findings) {
    let mix = &loaded.config.mix;
    let accounts = loaded.config.accounts.len();
    let mebibytes = mix.memory_needed(accounts) >> 20;
    found.good(
        "mix",
        format!(
            "a batch leaves after {} s at the latest, and its slot; batches take {mebibytes} MiB \
             of memory at most",
            mix.maximum_delay_seconds
        ),
    );
    if mix.minimum_accounts.get() < 2 {
        found.warning(
            "mix",
            "with minimum_accounts below 2 a slot may hold the batches of one clinic alone",
        );
    }
}

/// Reads the keys of the outer seal.
fn check_keys(loaded: &LoadedConfig, found: &mut Findings) {
    let relay = &loaded.config.relay;
    let form = match Form::open(relay, loaded.config.mix.largest_batch_bytes, &loaded.base) {
        Ok(form) => form,
        Err(error) => return found.failed("keys", error.into()),
    };
    for key in form.public_keys() {
        found.good("keys", format!("gateways seal to {}", key.to_text()));
    }
    if relay.private_keys.is_empty() {
        found.warning(
            "keys",
            "without private_keys the bytes of a batch are the same at both brokers: whoever sees \
             both knows who sent it",
        );
    } else if relay.take_unsealed {
        found.warning(
            "keys",
            "batches without an outer seal are taken too (take_unsealed)",
        );
    }
}

fn check_state(loaded: &LoadedConfig, found: &mut Findings) {
    let folder = loaded.base.join(&loaded.config.relay.state);
    if !folder.is_dir() {
        found.good(
            "state",
            format!("{} is made at the first start", folder.display()),
        );
        return;
    }
    let disk = Disk::look_closely(&folder).state;
    let text = format!("the disk under {} {disk}", folder.display());
    match disk {
        DiskState::Ok => found.good("state", text),
        DiskState::NearlyFull => found.warning("state", text),
        _ => found.failed("state", Failure::Change(text)),
    }
}

/// Opens the folder of what is laid down for the auditor, which makes it where it is missing.
fn check_escrow(loaded: &LoadedConfig, found: &mut Findings) {
    let Some(escrow) = &loaded.config.escrow else {
        found.good("escrow", "it is not laid down who sends");
        return;
    };
    let names = loaded.config.accounts.iter().map(|it| it.name.as_str());
    match Senders::open(escrow, &loaded.base, names) {
        Ok(senders) => {
            let folder = loaded.base.join(&escrow.folder);
            if let Err(full) = senders.check_room() {
                return found.failed("escrow", Failure::change(full));
            }
            let disk = Disk::look_closely(&folder).state;
            if !matches!(disk, DiskState::Ok | DiskState::NearlyFull) {
                let text = format!("the disk under {} {disk}", folder.display());
                return found.failed("escrow", Failure::Change(text));
            }
            let text = format!(
                "laid down in {} for the auditor {}; compare the key with `auditor keys show`",
                folder.display(),
                escrow.public_key
            );
            found.good("escrow", text);
        }
        Err(error) => found.failed("escrow", Failure::by(error.may_pass(), error)),
    }
}

/// Tries the registry's broker as a gateway does: the relay has the rights of one.
async fn check_inside(loaded: &LoadedConfig, found: &mut Findings) {
    let queue = &loaded.config.inside;
    match broker::check(queue, &loaded.base).await {
        Ok(lines) => lines
            .into_iter()
            .for_each(|line| found.good("inside", line)),
        Err(error) => return found.failed("inside", broker_failure(&error)),
    }
    match broker::check_rights(queue, &loaded.base, Side::Gateway).await {
        Ok(findings) => {
            for finding in findings {
                match finding.help {
                    None => found.good("inside", finding.text),
                    Some(help) => found.warning("inside", format!("{}; {help}", finding.text)),
                }
            }
        }
        Err(error) => found.failed("inside", broker_failure(&error)),
    }
}

/// Looks for the queue of every account at the clinics' broker.
async fn check_outside(loaded: &LoadedConfig, found: &mut Findings) {
    if let QueueConfig::Directory(_) = loaded.config.outside {
        found.warning(
            "outside",
            "queues are directories: whoever may enter them sees who sends, and when, so that they \
             hide nothing from this machine's accounts that may",
        );
    }
    let mut told = BTreeSet::new();
    for account in &loaded.config.accounts {
        let queue = loaded.config.outside_of(account);
        let name = &account.name;
        match broker::depth(&queue, &loaded.base).await {
            Ok(depth) => {
                let waiting = depth.waiting;
                found.good(
                    "outside",
                    format!("account {name}: waiting batches: {waiting}"),
                );
            }
            Err(error) => {
                let is_retry = error.is_retry();
                // A failure that all accounts share is told once.
                if told.insert(error.to_string()) {
                    found.failed("outside", outside_failure(name, &error));
                }
                if is_retry {
                    // The others would wait for the same broker.
                    return;
                }
            }
        }
    }
}

async fn check_listen(loaded: &LoadedConfig, found: &mut Findings) {
    let Some(listen) = &loaded.config.listen else {
        found.warning(
            "listen",
            "without [listen] nobody is told that a clinic is silent, but by `mix-relay status`",
        );
        return;
    };
    match telemetry::try_address(listen).await {
        Ok(()) => found.good("listen", format!("{} can be listened on", listen.address)),
        Err(error) if error.kind == ErrorKind::AddrInUse => {
            let text = format!("{error}, unless it is the relay that runs already");
            found.warning("listen", text);
        }
        Err(error) => found.failed("listen", error.into()),
    }
}
