//! Lines on what the outbox cannot tell of itself: whether the gateway runs, its disks, its ways to
//! the queue, and receipts that it ignores.

use chrono::{DateTime, Utc};
use outbox::{Link, Owner, RejectedReceipts, Status};
use program::terminal::{counted, print_note, visible};
use telemetry::Disk;

use super::context::Context;
use crate::cli::age::{ago, since};
use crate::cli::outbox_file;
use crate::config::LoadedConfig;
use crate::disks::{self, DiskStatus, disks_in_use};

/// Prints what can be told without the outbox, to standard error.
pub(super) async fn print_machine(loaded: &LoadedConfig, now: DateTime<Utc>) {
    let owner = outbox::owner(&outbox_file::path(loaded));
    if let Ok(owner) = owner {
        print_note(&daemon_text(owner.as_ref(), now));
    }
    let disks = disks::look_at(&disks_in_use(loaded), Disk::look_closely).await;
    for text in disk_texts(&disks) {
        print_note(&text);
    }
}

/// Line on whether the gateway runs.
pub(super) fn daemon_text(owner: Option<&Owner>, now: DateTime<Utc>) -> String {
    let Some(owner) = owner else {
        return "daemon: not running; what follows is as it was when the outbox was last written"
            .to_owned();
    };
    let process = owner
        .process
        .map_or_else(String::new, |id| format!(", process {id}"));
    let long = owner
        .since
        .map_or_else(String::new, |at| format!(" for {}", since(now, at)));
    if owner.command == "run" {
        format!("daemon: running{long}{process}")
    } else {
        let command = visible(&owner.command);
        format!("daemon: not running; `{command}` holds the outbox{long}{process}")
    }
}

/// Lines on disks that are not well.
pub(super) fn disk_texts(disks: &[DiskStatus]) -> impl Iterator<Item = String> {
    disks
        .iter()
        .filter_map(DiskStatus::trouble)
        .map(|trouble| format!("DISK: {trouble}"))
}

/// Lines on ways to the queue that take nothing; none where no daemon is there to know.
pub(super) fn link_texts(context: &Context, status: &Status, now: DateTime<Utc>) -> Vec<String> {
    if !context.daemon_runs() {
        return Vec::new();
    }
    let links = status.links.iter();
    links.filter_map(|link| link_text(link, now)).collect()
}

fn link_text(link: &Link, now: DateTime<Utc>) -> Option<String> {
    let what = match (link.name.as_str(), link.state.as_str()) {
        ("queue", "down") => "the queue cannot be reached",
        ("queue", "blocked") => "the broker takes nothing (its memory or disk alarm is on)",
        ("queue", _) if link.why.is_some() => "the queue refuses batches",
        ("receipts", "down") => "receipts cannot arrive",
        ("receipts", "connecting") => "receipts cannot arrive yet",
        _ => return None,
    };
    let long = link.since.map(|at| format!(" for {}", since(now, at)));
    let why = link.why.as_deref().map(|why| format!(": {}", visible(why)));
    Some(format!(
        "away: {what}{}{}",
        long.unwrap_or_default(),
        why.unwrap_or_default()
    ))
}

/// Lines on receipts that were ignored since the last good one.
pub(super) fn rejected_texts(status: &Status, now: DateTime<Utc>) -> Vec<String> {
    let is_open = |rejected: &&RejectedReceipts| {
        let last_good = status.publisher.last_receipt_at;
        last_good.is_none() || rejected.last_seen_at > last_good
    };
    let rejected = status.rejected_receipts.iter().filter(is_open);
    let text = |rejected: &RejectedReceipts| {
        format!(
            "ignored: {} ({}), the last {}: {}",
            counted(rejected.count, "receipt", "receipts"),
            rejected.reason,
            ago(now, rejected.last_seen_at),
            rejection_help(&rejected.reason)
        )
    };
    rejected.map(text).collect()
}

fn rejection_help(reason: &str) -> &'static str {
    match reason {
        "other-key" => {
            "they are signed with a key that is not in receipt_keys of [registry]. Compare it with \
             `city-registry keys public`; until then batches are sent again for ever"
        }
        "answer-key" => "they name a batch of ours and cannot be read: ask the registry's operator",
        _ => "they are not the registry's, or were changed on the way: look at the broker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_140_800 + second, 0).expect("a moment")
    }

    #[test]
    fn the_daemon_is_told_from_a_command_and_from_nothing() {
        let owner = |command: &str| Owner {
            command: command.into(),
            process: Some(7),
            since: Some(at(0)),
        };
        let text = |owner: Option<&Owner>| daemon_text(owner, at(300));
        assert_eq!(
            text(Some(&owner("run"))),
            "daemon: running for 5 min, process 7"
        );
        let sync = text(Some(&owner("sync")));
        assert!(
            sync.contains("not running") && sync.contains("`sync`"),
            "{sync}"
        );
        assert!(text(None).contains("not running"));
    }

    #[test]
    fn a_way_that_is_down_says_since_when_and_why() {
        let link = |name: &str, state: &str, why: Option<&str>| {
            let link = Link {
                name: name.into(),
                state: state.into(),
                since: Some(at(0)),
                why: why.map(Into::into),
            };
            link_text(&link, at(18))
        };
        assert_eq!(
            link("queue", "down", Some("connection refused")).as_deref(),
            Some("away: the queue cannot be reached for 18 s: connection refused")
        );
        assert_eq!(
            link("receipts", "down", None).as_deref(),
            Some("away: receipts cannot arrive for 18 s")
        );
        for (name, state) in [
            ("queue", "idle"),
            ("queue", "connected"),
            ("receipts", "connected"),
        ] {
            assert_eq!(link(name, state, None), None, "{name} {state}");
        }
        assert!(link("queue", "connected", Some("it came back")).is_some());
    }
}
