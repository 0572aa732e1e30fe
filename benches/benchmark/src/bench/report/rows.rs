//! The rows of the tables by size of clinic.

use crate::bench::figures::Samples;
use crate::bench::results::{Figures, name};

/// A row: its name, its figure, and what the measurement leaves out; nothing where the programs do
/// all of it.
pub(super) struct Row {
    /// Name of the row.
    pub name: &'static str,
    /// Figure of the row at a size.
    pub cell: fn(&Figures) -> Samples,
    /// Remark on what the row leaves out.
    pub note: &'static str,
}

const fn row(name: &'static str, cell: fn(&Figures) -> Samples) -> Row {
    Row {
        name,
        cell,
        note: "",
    }
}

const fn bare(name: &'static str, cell: fn(&Figures) -> Samples, note: &'static str) -> Row {
    Row { name, cell, note }
}

const fn nothing(name: &'static str, cell: fn(&Figures) -> Samples) -> Row {
    Row {
        name,
        cell,
        note: "nothing",
    }
}

/// Each limit, and the programs beside it.
pub(super) const STAGES: [Row; 30] = [
    bare(
        "`COPY … TO STDOUT` to nowhere, records/s",
        |of| of.of(name::COPY_OUT),
        "any decoding, pages, a place to go on from",
    ),
    bare(
        "PostgreSQL: bare keyset loop, pages of 5000, records/s",
        |of| of.of(name::KEYSET),
        "everything but reading: rows are decoded into owned values (texts, dates, numbers, \
         stamps) and dropped",
    ),
    bare(
        "… PostgreSQL's processor time for it, µs/record",
        |of| of.of(name::KEYSET_SERVER),
        "the loop's own",
    ),
    bare(
        "MariaDB: the same loop, records/s",
        |of| of.of(name::MARIADB_KEYSET),
        "the same",
    ),
    bare(
        "SQLite: sealed batches as blobs, FULL, records/s",
        |of| of.of(name::SQLITE),
        "reading, sealing, digests, cursor, publishing, deleting",
    ),
    bare(
        "broker: sealed batches confirmed, quorum queue, records/s",
        |of| of.of(name::PUBLISH),
        "everything before the broker; connecting",
    ),
    bare(
        "broker: the same, batches/s",
        |of| of.of(name::BATCHES).over(&of.of(name::PUBLISH_SECONDS)),
        "the same",
    ),
    bare(
        "… the broker's processor time for it, µs/record",
        |of| of.of(name::PUBLISH_SERVER),
        "the loop's own",
    ),
    bare(
        "computing alone, one thread: pseudonymise, encode, compress, seal, records/s",
        |of| of.of(name::COMPUTE),
        "reading, digests, outbox, cursor, publishing; everything is in memory",
    ),
    bare(
        "**bound**: all processors at PostgreSQL's, the computing's and the broker's time, \
         records/s",
        |of| of.of(name::BOUND),
        "decoding rows, outbox, digests, cursor, sending, waiting for any disk",
    ),
    bare(
        "broker: the same batches consumed, records/s",
        |of| of.of(name::CONSUME),
        "opening and storing; each is acknowledged",
    ),
    bare(
        "PostgreSQL: the registry's rows by `COPY`, records/s",
        |of| of.of(name::COPY_IN),
        "broker, opening, checking, HMAC, linking persons, looking for older versions, small \
         transactions",
    ),
    nothing(
        "**gateway: PostgreSQL → sealed → broker-confirmed, records/s**",
        |of| of.of(name::GATEWAY),
    ),
    nothing("… peak memory, MiB", |of| {
        of.of(&name::peak(name::GATEWAY))
    }),
    nothing("… processor time, µs/record", |of| {
        of.of(&name::processor(name::GATEWAY))
    }),
    nothing("… written to disk by the gateway, bytes/record", |of| {
        of.of(&name::written(name::GATEWAY))
    }),
    nothing("… written to disk by the broker, bytes/record", |of| {
        of.of(name::BROKER_WRITTEN)
    }),
    nothing(
        "**gateway: MariaDB → sealed → broker-confirmed, records/s**",
        |of| of.of(name::MARIADB_GATEWAY),
    ),
    nothing("… peak memory, MiB", |of| {
        of.of(&name::peak(name::MARIADB_GATEWAY))
    }),
    nothing("… processor time, µs/record", |of| {
        of.of(&name::processor(name::MARIADB_GATEWAY))
    }),
    nothing("… written to disk by the gateway, bytes/record", |of| {
        of.of(&name::written(name::MARIADB_GATEWAY))
    }),
    nothing("**registry: queue → committed, records/s**", |of| {
        of.of(name::REGISTRY)
    }),
    nothing("… peak memory, MiB", |of| {
        of.of(&name::peak(name::REGISTRY))
    }),
    nothing("… processor time, µs/record", |of| {
        of.of(&name::processor(name::REGISTRY))
    }),
    nothing("… written to disk by PostgreSQL, bytes/record", |of| {
        of.of(name::REGISTRY_WRITTEN)
    }),
    bare(
        "written to disk by PostgreSQL for the `COPY`, bytes/record",
        |of| of.of(name::COPY_IN_WRITTEN),
        "as above",
    ),
    row("sealed batches", |of| of.of(name::BATCHES)),
    row("sealed bytes a record", |of| of.of(name::SEALED_BYTES)),
    row("fsync of 4 KiB, ms", |of| of.of(name::FSYNC)),
    row("writing a long file, MB/s", |of| of.of(name::WRITE)),
];

/// The programs by their limits.
pub(super) const STAGE_RATIOS: [Row; 8] = [
    row("gateway / bare keyset loop, PostgreSQL", |of| {
        of.of(name::GATEWAY).over(&of.of(name::KEYSET))
    }),
    row("gateway / bare keyset loop, MariaDB", |of| {
        of.of(name::MARIADB_GATEWAY)
            .over(&of.of(name::MARIADB_KEYSET))
    }),
    row("gateway / `COPY` to nowhere", |of| {
        of.of(name::GATEWAY).over(&of.of(name::COPY_OUT))
    }),
    row("**gateway / bound**", |of| {
        of.of(name::GATEWAY).over(&of.of(name::BOUND))
    }),
    row("gateway / SQLite", |of| {
        of.of(name::GATEWAY).over(&of.of(name::SQLITE))
    }),
    row("gateway / broker", |of| {
        of.of(name::GATEWAY).over(&of.of(name::PUBLISH))
    }),
    row("registry / consuming", |of| {
        of.of(name::REGISTRY).over(&of.of(name::CONSUME))
    }),
    row("**registry / `COPY` of its rows**", |of| {
        of.of(name::REGISTRY).over(&of.of(name::COPY_IN))
    }),
];

/// A gateway's life by size of clinic.
pub(super) const GROWTH: [Row; 23] = [
    row("`COPY … TO STDOUT` to nowhere, records/s", |of| {
        of.of(name::COPY_OUT)
    }),
    row("bare keyset loop, records/s", |of| of.of(name::KEYSET)),
    row("**gateway: first `sync`, records/s**", |of| {
        of.of(name::GATEWAY)
    }),
    row("… peak memory, MiB", |of| {
        of.of(&name::peak(name::GATEWAY))
    }),
    row("… processor time, µs/record", |of| {
        of.of(&name::processor(name::GATEWAY))
    }),
    row("**registry: queue → committed, records/s**", |of| {
        of.of(name::REGISTRY)
    }),
    row("… peak memory, MiB", |of| {
        of.of(&name::peak(name::REGISTRY))
    }),
    row("… processor time, µs/record", |of| {
        of.of(&name::processor(name::REGISTRY))
    }),
    row("second `sync`, nothing changed, s", |of| of.of(name::AGAIN)),
    row("… peak memory, MiB", |of| of.of(&name::peak(name::AGAIN))),
    row("`sync --full`, nothing changed, records/s", |of| {
        of.of(name::FULL)
    }),
    row("… peak memory, MiB", |of| of.of(&name::peak(name::FULL))),
    row("`sweep` of all keys, nothing changed, records/s", |of| {
        of.of(name::SWEEP)
    }),
    row("… peak memory, MiB", |of| of.of(&name::peak(name::SWEEP))),
    row("… processor time, µs/record", |of| {
        of.of(&name::processor(name::SWEEP))
    }),
    row("`reconcile`, everything equal, records/s", |of| {
        of.of(name::RECONCILE)
    }),
    row("… gateway's peak memory, MiB", |of| {
        of.of(&name::peak(name::RECONCILE))
    }),
    row("… gateway's processor time, µs/record", |of| {
        of.of(&name::processor(name::RECONCILE))
    }),
    row("restart of `run` on this state, until ready, s", |of| {
        of.of(name::RESTART)
    }),
    row("… peak memory within 3 s after that, MiB", |of| {
        of.of(&name::peak(name::RESTART))
    }),
    row("broker back → outbox empty, s", |of| of.of(name::DRAIN)),
    row("fsync of 4 KiB, ms", |of| of.of(name::FSYNC)),
    row("writing a long file, MB/s", |of| of.of(name::WRITE)),
];

/// Rows on what lies and goes on disks, by size of clinic.
pub(super) const GROWTH_DISK: [Row; 6] = [
    row(
        "gateway's state without sealed batches, bytes/record",
        |of| of.of(name::STATE_BYTES),
    ),
    row("written by the gateway, first `sync`, bytes/record", |of| {
        of.of(&name::written(name::GATEWAY))
    }),
    row("written by the broker meanwhile, bytes/record", |of| {
        of.of(name::BROKER_WRITTEN)
    }),
    row(
        "written by PostgreSQL for the registry, bytes/record",
        |of| of.of(name::REGISTRY_WRITTEN),
    ),
    row(
        "written by the gateway, `sync --full`, bytes/record",
        |of| of.of(&name::written(name::FULL)),
    ),
    row("written by the gateway, `sweep`, bytes/record", |of| {
        of.of(&name::written(name::SWEEP))
    }),
];

/// Rows on whether the programs keep up with reading as clinics grow.
pub(super) const GROWTH_RATIOS: [Row; 2] = [
    row("gateway / bare keyset loop", |of| {
        of.of(name::GATEWAY).over(&of.of(name::KEYSET))
    }),
    row("`sync --full` / bare keyset loop", |of| {
        of.of(name::FULL).over(&of.of(name::KEYSET))
    }),
];
