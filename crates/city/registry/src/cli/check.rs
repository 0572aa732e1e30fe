//! `city-registry check`: connects to everything and prints what it found.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use broker::{BrokerError, LoopOutcome, Side};
use chrono::{DateTime, Utc};
use contract::ReceiptSigner;
use pass::Product;
use program::{CheckLayout, Failure, Findings};
use telemetry::Disk;

use super::audit;
use super::config_file::LoadedConfig;
use super::disks::disks_in_use;
use super::rules::read_rules;
use super::{expire, tokens};
use crate::escrow_folder::open_folder;
use crate::passes::{DatedKey, KeyProduct, KeyState, PassKeys, PassesConfig};
use crate::portal::{Door, DoorError};
use crate::store::plain_warning;
use crate::{Keys, Reader};

/// Words for a configuration from before certificates.
const NO_CERTIFICATES: &str = "no certificates are issued, as no key signs hcert; add one to \
                               [[passes.keys]], with products = [\"hcert\"]: `city-registry init` \
                               in an empty folder makes one";

pub(super) async fn check(loaded: &LoadedConfig, now: DateTime<Utc>) -> Result<(), Failure> {
    let mut printer = Findings::new(CheckLayout::Rows);
    check_keys_and_store(loaded, &mut printer).await;
    check_escrow(loaded, &mut printer);
    tokens::check(loaded, &mut printer);
    expire::check(loaded, &mut printer);
    check_queue(loaded, &mut printer).await;
    check_passes(loaded, now, &mut printer).await;
    check_disks(loaded, &mut printer);
    match audit::check(loaded) {
        Ok(text) => printer.good("audit", text),
        Err(failure) => printer.failed("audit", failure),
    }
    printer.outcome("something does not answer, see above")
}

/// Tells disks that are full or nearly so.
fn check_disks(loaded: &LoadedConfig, printer: &mut Findings) {
    for disk in disks_in_use(loaded) {
        let Some(found) = disk.found(Disk::look_closely) else {
            continue;
        };
        match disk.trouble(found) {
            Some(trouble) if found.state.takes_writes() => printer.warning(disk.name, trouble),
            Some(trouble) => printer.failed(disk.name, Failure::Change(trouble)),
            None => {}
        }
    }
}

async fn check_keys_and_store(loaded: &LoadedConfig, printer: &mut Findings) {
    let keys = match Keys::read(&loaded.config.keys, &loaded.base) {
        Ok(keys) => keys,
        Err(error) => return printer.failed("keys", error.into()),
    };
    printer.good(
        "keys",
        format!("{} private, and the second layer", keys.private().len()),
    );
    printer.good(
        "receipts",
        match keys.receipt() {
            Some(_) => "signed with keys.receipt_key",
            None => "none are sent, as there is no keys.receipt_key",
        },
    );
    if let Some(warning) = plain_warning(&loaded.config.store, &loaded.base) {
        printer.warning("store", warning);
    }
    match Reader::open(&loaded.config.store, keys, &loaded.base).await {
        Ok(reader) => {
            let store = reader.describe();
            printer.good(
                "store",
                format!("{store} answers, its tables are up to date"),
            );
            reader.close().await;
        }
        Err(error) => printer.failed("store", error.into()),
    }
}

/// Opens the folder of the auditor's entries; whether its disk takes writes is seen with the disks.
fn check_escrow(loaded: &LoadedConfig, printer: &mut Findings) {
    let Some(escrow) = &loaded.config.escrow else {
        return printer.good(
            "escrow",
            "nothing is laid down for an auditor, as there is no [escrow]",
        );
    };
    match open_folder(escrow, &loaded.config.store, &loaded.base) {
        Ok(folder) => match folder.check_room() {
            Ok(()) => printer.good(
                "escrow",
                format!(
                    "what batches state is laid down before it is stored, for the auditor {}; \
                     compare the key with `auditor keys show`",
                    escrow.public_key
                ),
            ),
            Err(full) => printer.failed("escrow", Failure::change(full)),
        },
        Err(error) => printer.failed("escrow", Failure::by(error.may_pass(), error)),
    }
}

/// Reads the rules and the keys of passes, and tries the portal's address.
async fn check_passes(loaded: &LoadedConfig, now: DateTime<Utc>, printer: &mut Findings) {
    let Some(passes) = &loaded.config.passes else {
        return printer.good("passes", "none are issued, as there is no [passes]");
    };
    match read_rules(&loaded.base.join(&passes.rules)) {
        Ok(rules) => printer.good("rules", format!("of version {}", rules.version())),
        Err(failure) => printer.failed("rules", failure),
    }
    check_pass_keys(passes, loaded, now, printer);
    match Door::open(&loaded.config.portal, &loaded.base).await {
        Ok(door) => printer.good("portal", door.describe()),
        Err(
            error @ DoorError::Listen {
                kind: ErrorKind::AddrInUse,
                ..
            },
        ) => printer.warning(
            "portal",
            format!("{error}, unless it is the portal that runs already"),
        ),
        Err(error) => printer.failed("portal", Failure::change(error)),
    }
}

fn check_pass_keys(
    passes: &PassesConfig,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    printer: &mut Findings,
) {
    let keys = match PassKeys::read(passes, &loaded.base) {
        Ok(keys) => keys,
        Err(error) => return printer.failed("passes", Failure::change(error)),
    };
    let root = keys.root().kid();
    printer.good(
        "passes",
        format!("the root key is {root}; verifiers pin it"),
    );
    for product in KeyProduct::ALL.map(KeyProduct::product) {
        let is_of_product = |key: &DatedKey| key.products.contains(&product);
        if product == Product::Hcert && !keys.dated().iter().any(is_of_product) {
            printer.warning("passes", NO_CERTIFICATES);
            continue;
        }
        print_key_state(product.as_str(), keys.state(product, now), printer);
    }
    let soon: BTreeSet<String> = keys
        .beginning_soon(now)
        .map(|key| format!("{} at {}", key.key.kid(), key.from))
        .collect();
    for key in soon {
        printer.warning(
            "passes",
            format!(
                "a key begins within 72 hours, {key}: verifiers that are offline know it only if \
                 it is published already"
            ),
        );
    }
}

/// Prints until when the keys of a product suffice.
fn print_key_state(name: &str, state: KeyState, printer: &mut Findings) {
    match state {
        KeyState::None => {
            let what = format!("no key signs {name} now; add one to [[passes.keys]]");
            printer.failed("passes", Failure::Change(what));
        }
        KeyState::Overdue(times) => printer.warning(
            "passes",
            format!(
                "the keys of {name} suffice until {} only: add the next one now. Verifiers \
                 that are offline for up to 72 hours refuse what it signs at first",
                times.suffice_until
            ),
        ),
        KeyState::DueSoon(times) => printer.warning(
            "passes",
            format!(
                "the keys of {name} suffice until {}: add the next one, beginning by then, \
                 and start the portal again before {}",
                times.suffice_until, times.due_at
            ),
        ),
        KeyState::Good(times) => {
            let text = format!("the keys of {name} suffice until {}", times.suffice_until);
            printer.good("passes", text);
        }
    }
}

async fn check_queue(loaded: &LoadedConfig, printer: &mut Findings) {
    if let Some(warning) = loaded.config.queue.plain_warning() {
        printer.warning("queue", warning);
    }
    match look_at_queue(loaded, printer).await {
        Ok(()) => {}
        Err(error) if error.is_retry() => printer.failed("queue", Failure::later(error)),
        Err(error) => printer.failed("queue", Failure::change(error)),
    }
}

async fn look_at_queue(loaded: &LoadedConfig, printer: &mut Findings) -> Result<(), BrokerError> {
    let queue = &loaded.config.queue;
    for finding in broker::check(queue, &loaded.base).await? {
        printer.good("queue", finding);
    }
    for finding in broker::check_rights(queue, &loaded.base, Side::Registry).await? {
        match finding.help {
            None => printer.good("queue", finding.text),
            Some(help) => printer.warning("queue", format!("{}: {help}", finding.text)),
        }
    }
    // Keys that cannot be read were reported above.
    let Ok(keys) = Keys::read(&loaded.config.keys, &loaded.base) else {
        return Ok(());
    };
    let Some(key) = keys.private().next() else {
        return Ok(());
    };
    let verifiers: Vec<_> = keys
        .receipt()
        .map(ReceiptSigner::verifier)
        .into_iter()
        .collect();
    if verifiers.is_empty() {
        return Ok(());
    }
    let base = &loaded.base;
    let key = key.public();
    let token = async { Ok(tokens::of_probe(loaded)) };
    let looped = broker::check_loop_with(queue, base, &key, &verifiers, None, token);
    print_outcome(printer, looped.await?);
    Ok(())
}

fn print_outcome(printer: &Findings, outcome: LoopOutcome) {
    let warning = match outcome {
        LoopOutcome::Answered => {
            return printer.good(
                "queue",
                "a sealed probe went to the running registry, and its receipt came back",
            );
        }
        LoopOutcome::Unreadable(reason) => format!(
            "the running registry cannot read a probe ({}): it was started with other keys, or is \
             of another version",
            reason.as_str()
        ),
        LoopOutcome::ReceiptsTaken => {
            "no probe was sent: another connection reads `receipts_queue`, which is a gateway's"
                .to_owned()
        }
        LoopOutcome::NoReader => "no registry runs, so no probe was sent: check again while it \
             runs"
            .to_owned(),
        LoopOutcome::NoAnswer {
            other_signatures: true,
        } => "no answer to a probe within 15 s: the running registry signs with another key"
            .to_owned(),
        LoopOutcome::NoAnswer {
            other_signatures: false,
        } => "no answer to a probe within 15 s: the running registry is busy, or cannot reach its \
             store"
            .to_owned(),
    };
    printer.warning("queue", warning);
}
