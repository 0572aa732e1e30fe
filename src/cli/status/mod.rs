//! `clinic-gateway status`: shows how in sync each source is, what waits and what was refused, read
//! from the outbox; and what a full disk could not tell: whether the gateway runs, and its disks.

mod context;
mod corrections;
mod feeds;
mod machine;
mod print;
mod sweep_plan;
mod sweeps;
mod unknown;
mod waiting;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use outbox::{DeadLetter, DeadLetterFilter, OutboxError, OutboxReader, Status};
use program::Failure;
use program::terminal::{print_json, print_line};

use self::context::Context;
use super::outbox_file;
use super::unknown::{Stored, TakenOut};
use crate::config::LoadedConfig;
use crate::gateway::{self, StartError};

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// List the refused records as well: the clinic's own record id, the reason, since when.
    #[arg(long)]
    refused: bool,
}

/// Most refused records listed; the counts above the list are complete.
const MAX_REFUSED: u32 = 1000;

/// Everything that the command shows.
struct StatusOutput {
    status: Status,
    context: Context,
    refused: Vec<DeadLetter>,
    unknown: Stored,
    /// Values that the configuration maps by now, by source.
    known: BTreeMap<String, TakenOut>,
}

pub(super) async fn status(
    arguments: &StatusArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let now = clock.now();
    let reader = match outbox_file::open(loaded).await {
        Ok(reader) => reader,
        Err(failure) => {
            // Most of all now: why it cannot be opened.
            machine::print_machine(loaded, now).await;
            return Err(failure);
        }
    };
    let output = read(&reader, loaded, arguments.refused, now).await;
    let StatusOutput {
        status,
        context,
        refused,
        unknown,
        known,
    } = output.map_err(StartError::from)?;
    if arguments.json {
        let report = serde_json::json!({
            "status": status, "around": context, "refused": refused,
            "unknown": unknown::json(&unknown),
        });
        print_json(&report);
        return Ok(());
    }
    print_line(machine::daemon_text(context.daemon.as_ref(), now));
    machine::disk_texts(&context.disks).for_each(print_line);
    machine::link_texts(&context, &status, now)
        .into_iter()
        .for_each(print_line);
    feeds::print_feeds(&status, &context, now);
    print::print_outbox_and_queue(&status, now);
    print::print_slots(&status, &context);
    unknown::print_unknown(&unknown, loaded);
    unknown::print_known(&known);
    print::print_receipts(&status, &context, now);
    machine::rejected_texts(&status, now)
        .into_iter()
        .for_each(print_line);
    sweeps::print_sweeps(&status, &context, now);
    corrections::print_corrections(&status);
    print::print_context(&status, &context, now);
    print::print_refused(&refused, now);
    Ok(())
}

async fn read(
    reader: &OutboxReader,
    loaded: &LoadedConfig,
    list_refused: bool,
    now: DateTime<Utc>,
) -> Result<StatusOutput, OutboxError> {
    let status = reader.status().await?;
    let context = Context::read(&status, reader, loaded, now).await?;
    let filter = DeadLetterFilter {
        limit: MAX_REFUSED,
        ..DeadLetterFilter::default()
    };
    let refused = if list_refused {
        reader.dead_letters(&filter).await?
    } else {
        Vec::new()
    };
    // Beside a running gateway the ring may be out of reach: then the values are only counted.
    let ring = gateway::read_ring(loaded).ok();
    let mut unknown = Stored::read(reader, ring.as_ref(), None).await?;
    let known = unknown.take_known_out(loaded, ring.as_ref());
    Ok(StatusOutput {
        status,
        context,
        refused,
        unknown,
        known,
    })
}
