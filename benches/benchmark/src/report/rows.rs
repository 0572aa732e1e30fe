//! Rows of the tables by size of clinic.

use crate::report::rows::Figure::{Peak, Plain, Processor, Ratio, Written};
use crate::results::samples::Samples;
use crate::results::{Figures, name};

/// Figure of a row, by the names of what is measured.
pub(crate) enum Figure {
    /// The samples of this name.
    Plain(&'static str),
    /// Peak memory of a program.
    Peak(&'static str),
    /// Processor time of a program.
    Processor(&'static str),
    /// Bytes that a program had the disk write.
    Written(&'static str),
    /// The first by the second.
    Ratio(&'static str, &'static str),
}

/// A row: its name, its figure, and what the measurement leaves out; nothing where the programs do
/// all of it.
pub(crate) struct Row {
    /// Name of the row.
    pub name: &'static str,
    /// Figure of the row.
    figure: Figure,
    /// Remark on what the row leaves out.
    pub note: &'static str,
}

impl Row {
    /// Figure of the row at a size.
    pub(crate) fn cell(&self, size: &Figures) -> Samples {
        match self.figure {
            Plain(of) => size.of(of),
            Peak(of) => size.of(&name::peak(of)),
            Processor(of) => size.of(&name::processor(of)),
            Written(of) => size.of(&name::written(of)),
            Ratio(one, other) => size.of(one).over(&size.of(other)),
        }
    }
}

const fn row(name: &'static str, figure: Figure) -> Row {
    bare(name, figure, "")
}

const fn bare(name: &'static str, figure: Figure, note: &'static str) -> Row {
    Row { name, figure, note }
}

const fn nothing(name: &'static str, figure: Figure) -> Row {
    bare(name, figure, "nothing")
}

/// Rows on each limit, and on the programs beside it.
pub(crate) const STAGES: [Row; 30] = [
    bare(
        "`COPY … TO STDOUT` to nowhere, records/s",
        Plain(name::COPY_OUT),
        "any decoding, pages, a place to go on from",
    ),
    bare(
        "PostgreSQL: bare keyset loop, pages of 5000, records/s",
        Plain(name::KEYSET),
        "everything but reading: rows are decoded into owned values (texts, dates, numbers, \
         stamps) and dropped",
    ),
    bare(
        "… PostgreSQL's processor time for it, µs/record",
        Plain(name::KEYSET_SERVER),
        "the loop's own",
    ),
    bare(
        "MariaDB: the same loop, records/s",
        Plain(name::MARIADB_KEYSET),
        "the same",
    ),
    bare(
        "SQLite: sealed batches as blobs, FULL, records/s",
        Plain(name::SQLITE),
        "reading, sealing, digests, cursor, publishing, deleting",
    ),
    bare(
        "broker: sealed batches confirmed, quorum queue, records/s",
        Plain(name::PUBLISH),
        "everything before the broker; connecting",
    ),
    bare(
        "broker: the same, batches/s",
        Ratio(name::BATCHES, name::PUBLISH_SECONDS),
        "the same",
    ),
    bare(
        "… the broker's processor time for it, µs/record",
        Plain(name::PUBLISH_SERVER),
        "the loop's own",
    ),
    bare(
        "computing alone, one thread: pseudonymise, encode, compress, seal, records/s",
        Plain(name::COMPUTE),
        "reading, digests, outbox, cursor, publishing; everything is in memory",
    ),
    bare(
        "**bound**: all processors at PostgreSQL's, the computing's and the broker's time, \
         records/s",
        Plain(name::BOUND),
        "decoding rows, outbox, digests, cursor, sending, waiting for any disk",
    ),
    bare(
        "broker: the same batches consumed, records/s",
        Plain(name::CONSUME),
        "opening and storing; each is acknowledged",
    ),
    bare(
        "PostgreSQL: the registry's rows by `COPY`, records/s",
        Plain(name::COPY_IN),
        "broker, opening, checking, HMAC, linking persons, looking for older versions, small \
         transactions",
    ),
    nothing(
        "**gateway: PostgreSQL → sealed → broker-confirmed, records/s**",
        Plain(name::GATEWAY),
    ),
    nothing("… peak memory, MiB", Peak(name::GATEWAY)),
    nothing("… processor time, µs/record", Processor(name::GATEWAY)),
    nothing(
        "… written to disk by the gateway, bytes/record",
        Written(name::GATEWAY),
    ),
    nothing(
        "… written to disk by the broker, bytes/record",
        Plain(name::BROKER_WRITTEN),
    ),
    nothing(
        "**gateway: MariaDB → sealed → broker-confirmed, records/s**",
        Plain(name::MARIADB_GATEWAY),
    ),
    nothing("… peak memory, MiB", Peak(name::MARIADB_GATEWAY)),
    nothing(
        "… processor time, µs/record",
        Processor(name::MARIADB_GATEWAY),
    ),
    nothing(
        "… written to disk by the gateway, bytes/record",
        Written(name::MARIADB_GATEWAY),
    ),
    nothing(
        "**registry: queue → committed, records/s**",
        Plain(name::REGISTRY),
    ),
    nothing("… peak memory, MiB", Peak(name::REGISTRY)),
    nothing("… processor time, µs/record", Processor(name::REGISTRY)),
    nothing(
        "… written to disk by PostgreSQL, bytes/record",
        Plain(name::REGISTRY_WRITTEN),
    ),
    bare(
        "written to disk by PostgreSQL for the `COPY`, bytes/record",
        Plain(name::COPY_IN_WRITTEN),
        "as above",
    ),
    row("sealed batches", Plain(name::BATCHES)),
    row("sealed bytes a record", Plain(name::SEALED_BYTES)),
    row("fsync of 4 KiB, ms", Plain(name::FSYNC)),
    row("writing a long file, MB/s", Plain(name::WRITE)),
];

/// Rows on the programs by their limits.
pub(crate) const STAGE_RATIOS: [Row; 8] = [
    row(
        "gateway / bare keyset loop, PostgreSQL",
        Ratio(name::GATEWAY, name::KEYSET),
    ),
    row(
        "gateway / bare keyset loop, MariaDB",
        Ratio(name::MARIADB_GATEWAY, name::MARIADB_KEYSET),
    ),
    row(
        "gateway / `COPY` to nowhere",
        Ratio(name::GATEWAY, name::COPY_OUT),
    ),
    row("**gateway / bound**", Ratio(name::GATEWAY, name::BOUND)),
    row("gateway / SQLite", Ratio(name::GATEWAY, name::SQLITE)),
    row("gateway / broker", Ratio(name::GATEWAY, name::PUBLISH)),
    row("registry / consuming", Ratio(name::REGISTRY, name::CONSUME)),
    row(
        "**registry / `COPY` of its rows**",
        Ratio(name::REGISTRY, name::COPY_IN),
    ),
];

/// Rows on everything a gateway does in its life, by size of clinic.
pub(crate) const GROWTH: [Row; 23] = [
    row(
        "`COPY … TO STDOUT` to nowhere, records/s",
        Plain(name::COPY_OUT),
    ),
    row("bare keyset loop, records/s", Plain(name::KEYSET)),
    row("**gateway: first `sync`, records/s**", Plain(name::GATEWAY)),
    row("… peak memory, MiB", Peak(name::GATEWAY)),
    row("… processor time, µs/record", Processor(name::GATEWAY)),
    row(
        "**registry: queue → committed, records/s**",
        Plain(name::REGISTRY),
    ),
    row("… peak memory, MiB", Peak(name::REGISTRY)),
    row("… processor time, µs/record", Processor(name::REGISTRY)),
    row("second `sync`, nothing changed, s", Plain(name::AGAIN)),
    row("… peak memory, MiB", Peak(name::AGAIN)),
    row(
        "`sync --full`, nothing changed, records/s",
        Plain(name::FULL),
    ),
    row("… peak memory, MiB", Peak(name::FULL)),
    row(
        "`sweep` of all keys, nothing changed, records/s",
        Plain(name::SWEEP),
    ),
    row("… peak memory, MiB", Peak(name::SWEEP)),
    row("… processor time, µs/record", Processor(name::SWEEP)),
    row(
        "`reconcile`, everything equal, records/s",
        Plain(name::RECONCILE),
    ),
    row("… gateway's peak memory, MiB", Peak(name::RECONCILE)),
    row(
        "… gateway's processor time, µs/record",
        Processor(name::RECONCILE),
    ),
    row(
        "restart of `run` on this state, until ready, s",
        Plain(name::RESTART),
    ),
    row(
        "… peak memory within 3 s after that, MiB",
        Peak(name::RESTART),
    ),
    row("broker back → outbox empty, s", Plain(name::DRAIN)),
    row("fsync of 4 KiB, ms", Plain(name::FSYNC)),
    row("writing a long file, MB/s", Plain(name::WRITE)),
];

/// Rows on what lies and goes on disks, by size of clinic.
pub(crate) const GROWTH_DISK: [Row; 6] = [
    row(
        "gateway's state without sealed batches, bytes/record",
        Plain(name::STATE_BYTES),
    ),
    row(
        "written by the gateway, first `sync`, bytes/record",
        Written(name::GATEWAY),
    ),
    row(
        "written by the broker meanwhile, bytes/record",
        Plain(name::BROKER_WRITTEN),
    ),
    row(
        "written by PostgreSQL for the registry, bytes/record",
        Plain(name::REGISTRY_WRITTEN),
    ),
    row(
        "written by the gateway, `sync --full`, bytes/record",
        Written(name::FULL),
    ),
    row(
        "written by the gateway, `sweep`, bytes/record",
        Written(name::SWEEP),
    ),
];

/// Rows on whether the programs keep up with reading as clinics grow.
pub(crate) const GROWTH_RATIOS: [Row; 2] = [
    row(
        "gateway / bare keyset loop",
        Ratio(name::GATEWAY, name::KEYSET),
    ),
    row(
        "`sync --full` / bare keyset loop",
        Ratio(name::FULL, name::KEYSET),
    ),
];
