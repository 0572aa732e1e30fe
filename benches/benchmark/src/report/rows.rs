//! Rows of the tables by size of clinic.

use crate::report::rows::Figure::{Peak, Plain, Processor, Ratio, Written};
use crate::results::Figures;
use crate::results::name::*;
use crate::results::samples::Samples;

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
pub(crate) struct SizeRow {
    /// Name of the row.
    pub name: &'static str,
    /// Figure of the row.
    figure: Figure,
    /// Remark on what the row leaves out.
    pub note: &'static str,
}

impl SizeRow {
    /// Figure of the row at a size.
    pub(crate) fn cell(&self, size: &Figures) -> Samples {
        match self.figure {
            Plain(of) => size.of(of),
            Peak(of) => size.of(&peak(of)),
            Processor(of) => size.of(&processor(of)),
            Written(of) => size.of(&written(of)),
            Ratio(one, other) => size.of(one).over(&size.of(other)),
        }
    }
}

/// Rows, each as its figure, its name and, behind `without`, what it leaves out.
macro_rules! rows {
    ($($figure:expr => $name:literal $(without $note:literal)?),* $(,)?) => {
        &[$(SizeRow { name: $name, figure: $figure, note: concat!($($note)?) }),*]
    };
}

/// Rows on each limit, and on the programs beside it.
pub(crate) const STAGES: &[SizeRow] = rows![
    Plain(COPY_OUT) => "`COPY … TO STDOUT` to nowhere, records/s"
        without "any decoding, pages, a place to go on from",
    Plain(KEYSET) => "PostgreSQL: bare keyset loop, pages of 5000, records/s"
        without "everything but reading: rows are decoded into owned values (texts, dates, \
         numbers, stamps) and dropped",
    Plain(KEYSET_SERVER) => "… PostgreSQL's processor time for it, µs/record"
        without "the loop's own",
    Plain(MARIADB_KEYSET) => "MariaDB: the same loop, records/s" without "the same",
    Plain(SQLITE) => "SQLite: sealed batches as blobs, FULL, records/s"
        without "reading, sealing, digests, cursor, publishing, deleting",
    Plain(PUBLISH) => "broker: sealed batches confirmed, quorum queue, records/s"
        without "everything before the broker; connecting",
    Ratio(BATCHES, PUBLISH_SECONDS) => "broker: the same, batches/s" without "the same",
    Plain(PUBLISH_SERVER) => "… the broker's processor time for it, µs/record"
        without "the loop's own",
    Plain(COMPUTE) => "computing alone, one thread: pseudonymise, encode, compress, seal, records/s"
        without "reading, digests, outbox, cursor, publishing; everything is in memory",
    Plain(BOUND) =>
        "**bound**: all processors at PostgreSQL's, the computing's and the broker's time, \
         records/s"
        without "decoding rows, outbox, digests, cursor, sending, waiting for any disk",
    Plain(CONSUME) => "broker: the same batches consumed, records/s"
        without "opening and storing; each is acknowledged",
    Plain(COPY_IN) => "PostgreSQL: the registry's rows by `COPY`, records/s"
        without "broker, opening, checking, HMAC, linking persons, looking for older versions, \
         small transactions",
    Plain(GATEWAY) => "**gateway: PostgreSQL → sealed → broker-confirmed, records/s**"
        without "nothing",
    Peak(GATEWAY) => "… peak memory, MiB" without "nothing",
    Processor(GATEWAY) => "… processor time, µs/record" without "nothing",
    Written(GATEWAY) => "… written to disk by the gateway, bytes/record" without "nothing",
    Plain(BROKER_WRITTEN) => "… written to disk by the broker, bytes/record" without "nothing",
    Plain(MARIADB_GATEWAY) => "**gateway: MariaDB → sealed → broker-confirmed, records/s**"
        without "nothing",
    Peak(MARIADB_GATEWAY) => "… peak memory, MiB" without "nothing",
    Processor(MARIADB_GATEWAY) => "… processor time, µs/record" without "nothing",
    Written(MARIADB_GATEWAY) => "… written to disk by the gateway, bytes/record" without "nothing",
    Plain(REGISTRY) => "**registry: queue → committed, records/s**" without "nothing",
    Peak(REGISTRY) => "… peak memory, MiB" without "nothing",
    Processor(REGISTRY) => "… processor time, µs/record" without "nothing",
    Plain(REGISTRY_WRITTEN) => "… written to disk by PostgreSQL, bytes/record" without "nothing",
    Plain(COPY_IN_WRITTEN) => "written to disk by PostgreSQL for the `COPY`, bytes/record"
        without "as above",
    Plain(BATCHES) => "sealed batches",
    Plain(SEALED_BYTES) => "sealed bytes a record",
    Plain(FSYNC) => "fsync of 4 KiB, ms",
    Plain(WRITE) => "writing a long file, MB/s",
];

/// Rows on the programs by their limits.
pub(crate) const STAGE_RATIOS: &[SizeRow] = rows![
    Ratio(GATEWAY, KEYSET) => "gateway / bare keyset loop, PostgreSQL",
    Ratio(MARIADB_GATEWAY, MARIADB_KEYSET) => "gateway / bare keyset loop, MariaDB",
    Ratio(GATEWAY, COPY_OUT) => "gateway / `COPY` to nowhere",
    Ratio(GATEWAY, BOUND) => "**gateway / bound**",
    Ratio(GATEWAY, SQLITE) => "gateway / SQLite",
    Ratio(GATEWAY, PUBLISH) => "gateway / broker",
    Ratio(REGISTRY, CONSUME) => "registry / consuming",
    Ratio(REGISTRY, COPY_IN) => "**registry / `COPY` of its rows**",
];

/// Rows on everything a gateway does in its life, by size of clinic.
pub(crate) const GROWTH: &[SizeRow] = rows![
    Plain(COPY_OUT) => "`COPY … TO STDOUT` to nowhere, records/s",
    Plain(KEYSET) => "bare keyset loop, records/s",
    Plain(GATEWAY) => "**gateway: first `sync`, records/s**",
    Peak(GATEWAY) => "… peak memory, MiB",
    Processor(GATEWAY) => "… processor time, µs/record",
    Plain(REGISTRY) => "**registry: queue → committed, records/s**",
    Peak(REGISTRY) => "… peak memory, MiB",
    Processor(REGISTRY) => "… processor time, µs/record",
    Plain(AGAIN) => "second `sync`, nothing changed, s",
    Peak(AGAIN) => "… peak memory, MiB",
    Plain(FULL) => "`sync --full`, nothing changed, records/s",
    Peak(FULL) => "… peak memory, MiB",
    Plain(SWEEP) => "`sweep` of all keys, nothing changed, records/s",
    Peak(SWEEP) => "… peak memory, MiB",
    Processor(SWEEP) => "… processor time, µs/record",
    Plain(RECONCILE) => "`reconcile`, everything equal, records/s",
    Peak(RECONCILE) => "… gateway's peak memory, MiB",
    Processor(RECONCILE) => "… gateway's processor time, µs/record",
    Plain(RESTART) => "restart of `run` on this state, until ready, s",
    Peak(RESTART) => "… peak memory within 3 s after that, MiB",
    Plain(DRAIN) => "broker back → outbox empty, s",
    Plain(FSYNC) => "fsync of 4 KiB, ms",
    Plain(WRITE) => "writing a long file, MB/s",
];

/// Rows on what lies and goes on disks, by size of clinic.
pub(crate) const GROWTH_DISK: &[SizeRow] = rows![
    Plain(STATE_BYTES) => "gateway's state without sealed batches, bytes/record",
    Written(GATEWAY) => "written by the gateway, first `sync`, bytes/record",
    Plain(BROKER_WRITTEN) => "written by the broker meanwhile, bytes/record",
    Plain(REGISTRY_WRITTEN) => "written by PostgreSQL for the registry, bytes/record",
    Written(FULL) => "written by the gateway, `sync --full`, bytes/record",
    Written(SWEEP) => "written by the gateway, `sweep`, bytes/record",
];

/// Rows on whether the programs keep up with reading as clinics grow.
pub(crate) const GROWTH_RATIOS: &[SizeRow] = rows![
    Ratio(GATEWAY, KEYSET) => "gateway / bare keyset loop",
    Ratio(FULL, KEYSET) => "`sync --full` / bare keyset loop",
];
