//! The parts whose measuring stands elsewhere: peers, latency, idle cost, crowd; their figures as
//! tables and for the goals.

use super::clinic::Clinic;
use super::figures::{grouped, short};
use super::latency::{Latency, Reading};
use super::live::Stage;
use super::results::{PartResult, Table, name};
use super::{Bench, crowd, idle, latency};
use crate::error::Error;
use crate::peers::{self, PeerFigure};

/// Facts a second that are written while latency is measured, and for how many seconds.
const LATENCY: (u32, u32) = (1000, 60);
/// Scheduled runs that an idle clinic is watched for.
const IDLE_RUNS: u32 = 2;
/// Beginnings of the names of peers that are scripts, and of those that are programs written for
/// the job but no scripts; the others are general tools.
const SCRIPTS: [&str; 2] = ["Python:", "Node:"];
const COMPILED: [&str; 1] = ["Go:"];
/// Gateways, records of each one's clinic, and consumers of the crowd.
const CROWD: (u32, u64, u32) = (50, 10_000, 4);

/// Figures that the goals are computed from.
pub(super) mod single {
    /// Ratio of the gateway's rate to that of the fastest script (Python, Node) that sends many
    /// records a message.
    pub(crate) const BATCHING_SCRIPT: &str = "times-batching-script";
    /// … as the fastest script that sends a record a message.
    pub(crate) const SINGLE_SCRIPT: &str = "times-single-script";
    /// … as the fastest general tool.
    pub(crate) const TOOL: &str = "times-tool";
    /// 99 of 100 facts of a listening source, milliseconds.
    pub(crate) const LATENCY_P99: &str = "latency-p99-ms";
    /// The slowest fact of a polled source, milliseconds.
    pub(crate) const POLLED_MAX: &str = "polled-max-ms";
    /// Between two scheduled runs of a source, milliseconds.
    pub(crate) const INTERVAL: &str = "interval-ms";
    /// Of the largest unchanged clinic, percent of a core, gateway and the clinic's server
    /// together.
    pub(crate) const IDLE_PERCENT: &str = "idle-percent";
    /// Records of that clinic.
    pub(crate) const IDLE_RECORDS: &str = "idle-records";
}

/// Makes the stage for a measurement of running programs.
fn stage<'a>(bench: &'a Bench<'_>) -> Stage<'a> {
    Stage {
        postgres: &bench.postgres,
        rabbitmq: &bench.rabbitmq,
        programs: &bench.programs,
        clock: &bench.clock,
        folder: bench.folder,
    }
}

/// Scripts and tools on the largest clinic of `stages`.
pub(super) async fn peers(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    let records = bench
        .options
        .stage_records
        .last()
        .copied()
        .unwrap_or_default();
    let clinic = bench.clinic(records).await?;
    let arena = peers::Arena {
        postgres: &bench.postgres,
        rabbitmq: &bench.rabbitmq,
        database: &clinic.database,
        records,
        folder: bench.folder,
        clock: &bench.clock,
    };
    let gateway = async || gateway_between(bench, &clinic, result).await;
    let figures = peers::measure(&arena, gateway).await?;
    note_peers(&figures, records, result);
    Ok(())
}

/// The gateway once more, on the peers' clinic; its rate.
async fn gateway_between(
    bench: &Bench<'_>,
    clinic: &Clinic,
    result: &mut PartResult,
) -> Option<f64> {
    let delivered = result
        .step(
            clinic.records,
            "the gateway, between peers",
            async |figures| {
                let number = figures.of(name::GATEWAY).len();
                let place =
                    bench.gateway(clinic, &format!("between-peers-{number}"), bench.queue())?;
                bench
                    .deliver(&place, clinic.records, name::GATEWAY, figures)
                    .await?;
                bench.done(place)?;
                Ok(figures.of(name::GATEWAY).latest())
            },
        )
        .await;
    bench.purge().await;
    delivered
}

fn note_peers(figures: &[PeerFigure], records: u64, result: &mut PartResult) {
    result.table.head = [
        "peer",
        "version",
        "in a message",
        "records/s",
        "… once started",
        "peak memory, MiB",
        "processor time, µs/record",
        "gateway beside it / it",
        "leaves out",
    ]
    .map(str::to_owned)
    .to_vec();
    let gateway = result.sizes.entry(records).or_default();
    result.table.rows.push(vec![
        "**clinic-gateway**, between the others".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
        "sealed batches".to_owned(),
        gateway.of(name::GATEWAY).to_string(),
        "–".to_owned(),
        gateway.of(&name::peak(name::GATEWAY)).to_string(),
        gateway.of(&name::processor(name::GATEWAY)).to_string(),
        "1".to_owned(),
        "nothing".to_owned(),
    ]);
    for peer in figures {
        result.table.rows.push(vec![
            peer.name.to_owned(),
            peer.version.clone(),
            peer.messages.clone(),
            short(peer.records_per_second),
            peer.records_per_second_started
                .map_or_else(|| "–".to_owned(), short),
            short(peer.peak_mib),
            short(peer.processor_us),
            short(peer.gateway_times()),
            peer.leaves_out.to_owned(),
        ]);
    }
    let best = |of: &dyn Fn(&PeerFigure) -> bool| {
        figures
            .iter()
            .filter(|peer| of(peer))
            .map(PeerFigure::gateway_times)
            .fold(f64::NAN, f64::min)
    };
    result.single.push(
        single::BATCHING_SCRIPT,
        best(&|peer| is(peer, &SCRIPTS) && !sends_single(peer)),
    );
    result.single.push(
        single::SINGLE_SCRIPT,
        best(&|peer| is(peer, &SCRIPTS) && sends_single(peer)),
    );
    result.single.push(
        single::TOOL,
        best(&|peer| !is(peer, &SCRIPTS) && !is(peer, &COMPILED)),
    );
}

fn is(peer: &PeerFigure, languages: &[&str]) -> bool {
    languages
        .iter()
        .any(|language| peer.name.starts_with(language))
}

fn sends_single(peer: &PeerFigure) -> bool {
    peer.messages.starts_with("1 ")
}

/// Listening, and by the default schedule.
pub(super) async fn latency(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    let mut measured = Vec::new();
    for reading in [Reading::Listening, Reading::Polling] {
        match latency::measure(&stage(bench), reading, LATENCY.0, LATENCY.1).await {
            Ok(found) => measured.push((reading, found)),
            Err(error) => {
                result.fail(&format!("{reading:?}"), &error);
                bench.purge().await;
            }
        }
    }
    note_latency(&measured, result);
    Ok(())
}

fn note_latency(measured: &[(Reading, Latency)], result: &mut PartResult) {
    for (reading, latency) in measured {
        let name = single::INTERVAL;
        let interval_ms = latency.interval_seconds as f64 * 1000.0;
        result.single.push(name, interval_ms);
        match reading {
            Reading::Listening => result.single.push(single::LATENCY_P99, latency.p99_ms),
            Reading::Polling => result.single.push(single::POLLED_MAX, latency.max_ms),
        }
    }
    let rows: [Row<Latency>; 8] = [
        ("facts", |of| grouped(&of.facts.to_string())),
        ("committed at the clinic, facts/s", |of| {
            short(of.achieved_per_second)
        }),
        ("half of them within, ms", |of| short(of.p50_ms)),
        ("9 of 10 within, ms", |of| short(of.p90_ms)),
        ("**99 of 100 within, ms**", |of| short(of.p99_ms)),
        ("all within, ms", |of| short(of.max_ms)),
        ("gateway's processor time, % of a core", |of| {
            short(of.gateway_percent)
        }),
        ("gateway's peak memory, MiB", |of| {
            short(of.gateway_peak_mib)
        }),
    ];
    let head = measured.iter().map(|(reading, latency)| match reading {
        Reading::Listening => "listening source".to_owned(),
        Reading::Polling => format!("polled every {} s", latency.interval_seconds),
    });
    result.table = columns(
        head,
        &rows,
        &measured
            .iter()
            .map(|(_, latency)| latency)
            .collect::<Vec<_>>(),
    );
}

/// The largest clinics, unchanged.
pub(super) async fn idle(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    let mut measured = Vec::new();
    for records in bench.idle_sizes() {
        match idle_size(bench, records).await {
            Ok(idle) => measured.push(idle),
            Err(error) => {
                result.fail(&format!("{records} records"), &error);
                bench.purge().await;
            }
        }
    }
    if let Some(largest) = measured.last() {
        result
            .single
            .push(single::IDLE_RECORDS, largest.records as f64);
        result.single.push(
            single::IDLE_PERCENT,
            largest.gateway_percent + largest.server_percent,
        );
    }
    let rows: [Row<idle::Idle>; 8] = [
        ("scheduled runs watched", |of| of.runs.to_string()),
        ("gateway, % of a core", |of| short(of.gateway_percent)),
        (
            "clinic's server, beyond what it takes by itself, % of a core",
            |of| short(of.server_percent),
        ),
        ("statements a minute", |of| short(of.statements_a_minute)),
        ("gateway's peak memory, MiB", |of| short(of.peak_mib)),
        ("one sweep of all keys: gateway's processor time, s", |of| {
            short(of.sweep_seconds.0)
        }),
        ("one sweep of all keys: server's processor time, s", |of| {
            short(of.sweep_seconds.1)
        }),
        (
            "everything, a sweep every night with it, % of a core",
            |of| short(of.percent_a_day()),
        ),
    ];
    let head = measured
        .iter()
        .map(|of| format!("{} records", grouped(&of.records.to_string())));
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
    Ok(())
}

/// With the state that `growth` left, or else one of its own.
async fn idle_size(bench: &Bench<'_>, records: u64) -> Result<idle::Idle, Error> {
    let clinic = bench.clinic(records).await?;
    let place = match bench.take_synced(records) {
        Some(place) => place,
        None => {
            let place = bench.gateway(&clinic, &format!("{records}-idle"), bench.queue())?;
            bench.programs.sync(&place, false, &bench.clock).await?;
            bench.purge().await;
            place
        }
    };
    let measured = idle::measure(&stage(bench), &place, &clinic.database, records, IDLE_RUNS).await;
    bench.done(place)?;
    measured
}

/// Many gateways, several consumers; and one of each.
pub(super) async fn crowd(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    let (gateways, records, consumers) = CROWD;
    let crowd::Crowd { many, one } =
        crowd::measure(&stage(bench), gateways, records, consumers).await?;
    let rows: [Row<crowd::City>; 9] = [
        ("facts", |of| grouped(&of.facts.to_string())),
        ("persons; known at two clinics", |of| {
            format!(
                "{}; {}",
                grouped(&of.persons.to_string()),
                grouped(&of.shared_persons.to_string())
            )
        }),
        (
            "from the first program's start to the last commit, s",
            |of| short(of.took.as_secs_f64()),
        ),
        ("**clinics → committed, facts/s**", |of| short(of.rate())),
        ("gateways' processor time, µs/fact", |of| {
            short(of.gateways_us)
        }),
        ("consumers' processor time, µs/fact", |of| {
            short(of.consumers_us)
        }),
        ("memory of all gateways, MiB", |of| short(of.gateways_mib)),
        ("memory of the greediest gateway, MiB", |of| {
            short(of.greatest_mib)
        }),
        ("registry's tables and indexes, bytes/fact", |of| {
            short(of.stored_bytes_a_fact)
        }),
    ];
    let head =
        [&many, &one].map(|of| format!("{} gateways, {} consumers", of.gateways, of.consumers));
    result.table = columns(head.into_iter(), &rows, &[&many, &one]);
    Ok(())
}

/// A row: its name, and its cell of one column.
type Row<T> = (&'static str, fn(&T) -> String);

/// A table with a column for each of these.
fn columns<T>(head: impl Iterator<Item = String>, rows: &[Row<T>], of: &[&T]) -> Table {
    let row = |(name, cell): &Row<T>| {
        std::iter::once((*name).to_owned())
            .chain(of.iter().map(|one| cell(one)))
            .collect()
    };
    Table {
        head: std::iter::once(String::new()).chain(head).collect(),
        rows: rows.iter().map(row).collect(),
    }
}
