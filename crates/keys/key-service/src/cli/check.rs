//! `key-service check`: reads and tries everything, and prints what it found.

use std::io::ErrorKind;

use audit::verify;
use client_door::DoorError;
use program::audit_log::{describe, failure};
use program::files::can_be_made;
use program::{CheckLayout, Failure, Findings};
use settings::path_error_text;
use telemetry::{Disk, DiskState};

use super::config_file::LoadedConfig;
use crate::numbers::Numbers;
use crate::{ClientConfig, Keys, open_door};

pub(super) async fn check(loaded: &LoadedConfig) -> Result<(), Failure> {
    let mut found = Findings::new(CheckLayout::Rows);
    check_keys(loaded, &mut found);
    check_folders(loaded, &mut found);
    check_audit(loaded, &mut found);
    check_addresses(loaded, &mut found).await;
    found.outcome("something cannot be read, see above")
}

fn check_keys(loaded: &LoadedConfig, found: &mut Findings) {
    match Keys::read(&loaded.config, &loaded.base) {
        Ok(keys) => {
            for key in keys.public() {
                let number = key.number;
                let text = format!("{number} ({}): {}", key.key_use, key.fingerprint);
                found.good("keys", text);
            }
        }
        Err(error) => found.failed("keys", error.into()),
    }
    check_numbers(loaded, found);
    let counted = if loaded.config.token_keys.is_empty() {
        "elements"
    } else {
        "tokens of batches"
    };
    for client in &loaded.config.clients {
        let ClientConfig {
            name,
            daily_ceiling,
            ..
        } = client;
        found.good(
            "clients",
            format!("{name}: {daily_ceiling} {counted} a day"),
        );
    }
}

/// Compares the keys with those that their numbers have named.
fn check_numbers(loaded: &LoadedConfig, found: &mut Findings) {
    let Ok(keys) = Keys::read(&loaded.config, &loaded.base) else {
        return;
    };
    let state = loaded.base.join(&loaded.config.service.state);
    if !state.is_dir() {
        return;
    }
    match Numbers::read(&state).map(|numbers| numbers.compare(&keys)) {
        Ok(Ok(())) => {}
        Ok(Err(replaced)) => found.failed("keys", replaced.into()),
        Err(error) => found.failed("state", Failure::by(error.may_pass(), error)),
    }
}

/// Tries the disks of the counts and of the audit log.
fn check_folders(loaded: &LoadedConfig, found: &mut Findings) {
    let service = &loaded.config.service;
    for (part, folder) in [("state", &service.state), ("audit", &service.audit)] {
        let folder = loaded.base.join(folder);
        match std::fs::metadata(&folder) {
            Ok(found_there) if found_there.is_dir() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match can_be_made(&folder) {
                    Ok(text) => found.good(part, text),
                    Err(failure) => found.failed(part, failure),
                }
                continue;
            }
            Ok(_) => {
                let text = format!("{} is not a folder: name another one", folder.display());
                found.failed(part, Failure::Change(text));
                continue;
            }
            Err(error) => {
                let text = format!(
                    "{} cannot be looked at: {}",
                    folder.display(),
                    path_error_text(error.kind())
                );
                found.failed(part, Failure::Change(text));
                continue;
            }
        }
        let disk = Disk::look_closely(&folder).state;
        let text = format!("the disk under {} {disk}", folder.display());
        match disk {
            DiskState::Ok => found.good(part, text),
            DiskState::NearlyFull => found.warning(part, text),
            _ => found.failed(part, Failure::Change(text)),
        }
    }
}

fn check_audit(loaded: &LoadedConfig, found: &mut Findings) {
    let folder = loaded.base.join(&loaded.config.service.audit);
    if !folder.is_dir() {
        return;
    }
    match verify(&folder, None) {
        Ok(verified) => found.good("audit", describe(&verified)),
        Err(error) => found.failed("audit", failure(&error)),
    }
}

async fn check_addresses(loaded: &LoadedConfig, found: &mut Findings) {
    let is_running = "unless it is the service that runs already";
    match open_door(&loaded.config.service, &loaded.base).await {
        Ok(door) => found.good("service", door.describe()),
        Err(error) if is_in_use(&error) => {
            found.warning("service", format!("{error}, {is_running}"));
        }
        Err(error) => found.failed("service", Failure::change(error)),
    }
    if loaded.config.service.tls.is_none() {
        let text = "without [service.tls] only programs of this machine are answered";
        found.warning("service", text.to_owned());
    }
    if let Some(listen) = &loaded.config.listen {
        match telemetry::try_address(listen).await {
            Ok(()) => found.good("listen", format!("{} can be listened on", listen.address)),
            Err(error) if error.kind == ErrorKind::AddrInUse => {
                found.warning("listen", format!("{error}, {is_running}"));
            }
            Err(error) => found.failed("listen", error.into()),
        }
    }
}

const fn is_in_use(error: &DoorError) -> bool {
    matches!(
        error,
        DoorError::Listen {
            kind: ErrorKind::AddrInUse,
            ..
        }
    )
}
