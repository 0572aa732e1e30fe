//! The figures as Markdown: for the terminal, and as `docs/performance.md`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Measured;
use super::figures::{Samples, grouped, short};
use crate::arguments::BenchOptions;
use crate::error::Error;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");

/// Everything there is to report.
pub struct Report<'a> {
    /// Name and value of what the figures depend on.
    pub machine: Vec<(&'static str, String)>,
    /// How the benchmark was run.
    pub options: &'a BenchOptions,
    /// The sizes of clinic, rising.
    pub sizes: &'a [Measured],
}

/// A row of a table: its name, and its cell for each size.
type Row = (&'static str, fn(&Measured) -> String);

const FIGURES: [Row; 19] = [
    ("sealed batches", |of| grouped(&of.batches.to_string())),
    ("sealed bytes a record", |of| short(of.sealed_bytes as f64 / of.records as f64)),
    ("floor: `COPY … TO STDOUT`, records/s", |of| of.floor.to_string()),
    ("bare keyset loop, records/s", |of| of.keyset.to_string()),
    ("raw broker: same batches, bare loop, records/s", |of| of.raw.to_string()),
    ("raw broker, batches/s", |of| of.raw.times(of.batches as f64 / of.records as f64).to_string()),
    ("**gateway: source to broker-confirmed, records/s**", |of| of.gateway.rate.to_string()),
    ("gateway's peak memory, MiB", |of| of.gateway.peak_mib.to_string()),
    ("gateway's processor time, µs/record", |of| of.gateway.processor_us.to_string()),
    ("**registry: queue to committed, records/s**", |of| of.registry.rate.to_string()),
    ("registry's peak memory, MiB", |of| of.registry.peak_mib.to_string()),
    ("registry's processor time, µs/record", |of| of.registry.processor_us.to_string()),
    ("second `sync`, nothing changed, s", |of| of.again_seconds.to_string()),
    ("`sync --full`, nothing changed, records/s", |of| of.full.to_string()),
    ("`sweep` of all keys, nothing changed, records/s", |of| of.sweep.to_string()),
    ("`reconcile`, everything equal, records/s", |of| of.reconcile.to_string()),
    ("broker back → outbox empty, s", |of| of.drain_seconds.to_string()),
    ("raw broker: same batches, bare loop, s", |of| of.raw_seconds.to_string()),
    ("fsync of 4 KiB, ms", |of| of.fsync_ms.to_string()),
];

const RATIOS: [Row; 5] = [
    ("gateway / floor", |of| of.gateway.rate.over(&of.floor).to_string()),
    ("gateway / bare keyset loop", |of| of.gateway.rate.over(&of.keyset).to_string()),
    ("gateway / raw broker", |of| of.gateway.rate.over(&of.raw).to_string()),
    ("registry / raw broker", |of| of.registry.rate.over(&of.raw).to_string()),
    ("broker back → outbox empty / raw broker, in time", |of| {
        of.drain_seconds.over(&of.raw_seconds).to_string()
    }),
];

const INTRODUCTION: &str = "\
# Performance

Measured by `cargo xtask bench --write`, which wrote this page; do not edit it. Run it on a machine with nothing else to
do: it builds both programs in release mode, starts a private PostgreSQL and a private RabbitMQ, makes a clinic of invented
people, and fails if a single fact is missing in the registry at the end or anything is sent twice. `cargo xtask bench
--help` tells its options.

Every cell is the median, with the least and the greatest in parentheses. In each repetition everything is measured once,
one thing after the other, and ratios are taken within a repetition. Servers, programs and benchmark share the machine, so
the figures tell what one small machine does with everything on it.
";

const ROWS: &str = "
## What the rows are

- **Clinic.** Two tables (a person has two vaccinations and a test; SNILS and OMS number, or a foreign passport), each with
  an index on the change stamp and the id. Pages of 1000 records.
- **Floor.** The two configured queries, streamed out by `COPY` over a loopback connection and thrown away: nothing that
  reads the clinic's records can be faster.
- **Bare keyset loop.** The same queries page by page on (`changed_at`, `record_id`), rows fetched and dropped: what
  incremental reading costs without doing anything.
- **Raw broker.** The very batches a gateway made, published by a bare loop to a durable quorum queue: persistent,
  mandatory, 64 waiting for their confirm. Connecting is not counted.
- **Gateway.** `clinic-gateway sync` with an empty outbox as a process of its own, from its start to its end: reading,
  pseudonymising, comparing, sealing, committing to the outbox, publishing and being confirmed. Peak memory is the
  process's `VmHWM`.
- **Registry.** `city-registry run --drain` into an empty database, one consumer, from its start (which makes the tables) to
  its last commit, as PostgreSQL notes it: opening, validating, second-layer HMAC, linking, committing, acknowledging.
- **Second `sync`.** The same gateway once more: it looks back over its overlap and sends nothing. Mostly what starting,
  connecting and ending cost, which is part of the gateway's figure above as well.
- **`sync --full`.** Everything is read, pseudonymised and compared again, and nothing is sent.
- **`sweep`.** All ids and change stamps are read and compared with what the gateway remembers; nothing differs.
- **`reconcile`.** Every record is asked after in a sealed probe, a running registry answers, and holds all of them: from the
  command's start to its end.
- **Broker back → outbox empty.** The broker is stopped, `clinic-gateway run` reads the whole clinic into its outbox, the
  broker comes back; from the moment it takes clients to the last confirm. Finding it again is counted, with at most a
  second between two tries (`max_backoff_seconds = 1`).
- **fsync.** The temporary folder's disk. Outbox, broker and registry wait for it at every commit.
- **Peak memory, greatest size / smallest.** Near 1 when memory does not grow with the clinic.
";

impl Report<'_> {
    /// The tables.
    pub fn tables(&self) -> String {
        let mut out = String::from("| | |\n| --- | --- |\n");
        for (name, value) in &self.machine {
            line(&mut out, name, std::iter::once(value.clone()));
        }
        let BenchOptions { repetitions, batch_events, .. } = self.options;
        line(&mut out, "repetitions", std::iter::once(repetitions.to_string()));
        line(&mut out, "events in a batch, at most", std::iter::once(batch_events.to_string()));
        self.table(&mut out, &FIGURES);
        self.table(&mut out, &RATIOS);
        if let ([smallest, .., greatest], [_, _, ..]) = (self.sizes, self.sizes) {
            let by = |peak: fn(&Measured) -> &Samples| {
                short(peak(greatest).greatest() / peak(smallest).greatest())
            };
            out.push_str("\n| peak memory, greatest size / smallest | |\n| --- | ---: |\n");
            line(&mut out, "gateway", std::iter::once(by(|of| &of.gateway.peak_mib)));
            line(&mut out, "registry", std::iter::once(by(|of| &of.registry.peak_mib)));
        }
        out
    }

    /// Writes `docs/performance.md`; its path.
    pub fn write(&self) -> Result<PathBuf, Error> {
        let page = format!("{INTRODUCTION}\n## Figures\n\n{}{ROWS}", self.tables());
        std::fs::write(PAGE, page).map_err(Error::io("write docs/performance.md"))?;
        Ok(Path::new(PAGE).canonicalize().unwrap_or_else(|_| PAGE.into()))
    }

    fn table(&self, out: &mut String, rows: &[Row]) {
        out.push('\n');
        line(out, "", self.sizes.iter().map(|of| format!("{} records", grouped(&of.records.to_string()))));
        line(out, "---", self.sizes.iter().map(|_| "---:".to_owned()));
        for (name, cell) in rows {
            line(out, name, self.sizes.iter().map(cell));
        }
    }
}

fn line(out: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    // Writing into a String cannot fail.
    let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
}
