//! Names of what is measured, as the kept results spell them. Of a program, `peak`, `processor` and
//! `written` stand beside its rate.

/// `COPY` out of the clinic, records a second.
pub(crate) const COPY_OUT: &str = "copy-out";
/// The bare loop of pages by key, decoded, records a second.
pub(crate) const KEYSET: &str = "keyset";
/// PostgreSQL's processor time for it, microseconds a record.
pub(crate) const KEYSET_SERVER: &str = "keyset.server_us";
/// Pseudonymising, encoding, compressing and sealing in memory, on one thread, records a
/// second.
pub(crate) const COMPUTE: &str = "compute";
/// Rate that all processors give for reading at the server, computing and the broker, in
/// records a second.
pub(crate) const BOUND: &str = "bound";
/// The bare loop at MariaDB, records a second.
pub(crate) const MARIADB_KEYSET: &str = "mariadb-keyset";
/// Sealed batches into SQLite, records a second.
pub(crate) const SQLITE: &str = "sqlite";
/// Sealed batches to the broker, records a second.
pub(crate) const PUBLISH: &str = "raw-publish";
/// The broker's processor time for it, microseconds a record.
pub(crate) const PUBLISH_SERVER: &str = "raw-publish.server_us";
/// Time in which all sealed batches went to the broker, in seconds.
pub(crate) const PUBLISH_SECONDS: &str = "raw-publish-seconds";
/// Sealed batches from the broker, records a second.
pub(crate) const CONSUME: &str = "raw-consume";
/// The registry's rows by `COPY`, records a second.
pub(crate) const COPY_IN: &str = "copy-in";
/// Bytes PostgreSQL had the disk write for it, a record.
pub(crate) const COPY_IN_WRITTEN: &str = "copy-in.written_bytes";
/// The gateway's first `sync`, records a second.
pub(crate) const GATEWAY: &str = "gateway";
/// The gateway's first `sync` from MariaDB, records a second.
pub(crate) const MARIADB_GATEWAY: &str = "mariadb-gateway";
/// The registry, records a second.
pub(crate) const REGISTRY: &str = "registry";
/// Bytes PostgreSQL had the disk write for it, a record.
pub(crate) const REGISTRY_WRITTEN: &str = "registry.server_written_bytes";
/// Bytes RabbitMQ had the disk write while the gateway published, a record.
pub(crate) const BROKER_WRITTEN: &str = "broker.written_bytes";
/// Sealed batches.
pub(crate) const BATCHES: &str = "batches";
/// Sealed bytes, a record.
pub(crate) const SEALED_BYTES: &str = "sealed-bytes";
/// Bytes of the gateway's state without the sealed batches in it, a record.
pub(crate) const STATE_BYTES: &str = "state-bytes";
/// `sync` of an unchanged clinic, seconds.
pub(crate) const AGAIN: &str = "again-seconds";
/// `sync --full` of an unchanged clinic, records a second.
pub(crate) const FULL: &str = "full";
/// `sweep` of an unchanged clinic, records a second.
pub(crate) const SWEEP: &str = "sweep";
/// `reconcile` with a registry that holds everything, records a second.
pub(crate) const RECONCILE: &str = "reconcile";
/// `clinic-gateway run` with a filled state, until it is ready, seconds.
pub(crate) const RESTART: &str = "restart-seconds";
/// Time from a broker that is back to an empty outbox, seconds.
pub(crate) const DRAIN: &str = "drain-seconds";
/// The queries of a schema streamed once, decoded, rows a second.
pub(crate) const STREAM: &str = "stream";
/// The pages of a FHIR server followed and parsed, records a second.
pub(crate) const PAGES: &str = "pages";
/// The same without the patients, records a second.
pub(crate) const PAGES_ALONE: &str = "pages-alone";
/// The gateway's first `sync` from FHIR, records a second.
pub(crate) const FHIR_GATEWAY: &str = "fhir-gateway";
/// Rows that the clinic's server read for a `sync` of an unchanged clinic.
pub(crate) const UNCHANGED_ROWS: &str = "unchanged-rows";
/// `sweep --contents` of an unchanged clinic, records a second.
pub(crate) const CONTENTS: &str = "contents-sweep";
/// The bare calls of blind evaluation, on all processors, persons a second.
pub(crate) const BARE: &str = "bare";
/// The gateway's first `sync` of a clinic whose persons have several records, records a second.
pub(crate) const REPEATED: &str = "repeated";
/// Batches that a bare loop consumes and publishes, a second.
pub(crate) const FORWARDED: &str = "forwarded";
/// Batches that the mix relay passes on, a second.
pub(crate) const RELAYED: &str = "relayed";
/// Drafts that become durable sealed batches in memory and an outbox, records a second.
pub(crate) const SENDING: &str = "sending";
/// Outer seals that are taken off in memory on all processors, a second.
pub(crate) const UNSEALED: &str = "unsealed";
/// Elements that are multiplied in memory on all processors, a second.
pub(crate) const MULTIPLIED: &str = "multiplied";
/// Names whose rows are rewritten by bare statements, a second.
pub(crate) const REWRITTEN: &str = "rewritten";
/// Names that are changed to a new key, a second.
pub(crate) const REKEYED: &str = "rekeyed";
/// Time until all names are multiplied and noted, seconds.
pub(crate) const MULTIPLIED_SECONDS: &str = "multiplied-seconds";
/// Time of the transaction that renames everything, seconds.
pub(crate) const RENAMED_SECONDS: &str = "renamed-seconds";
/// fsync of 4 KiB, milliseconds.
pub(crate) const FSYNC: &str = "fsync-ms";
/// Writing a long file, megabytes a second.
pub(crate) const WRITE: &str = "write-mb-s";

/// Most memory held at once, MiB.
pub(crate) fn peak(of: &str) -> String {
    format!("{of}.peak_mib")
}

/// Processor time a record, microseconds.
pub(crate) fn processor(of: &str) -> String {
    format!("{of}.processor_us")
}

/// Bytes the program had the disk write, a record.
pub(crate) fn written(of: &str) -> String {
    format!("{of}.written_bytes")
}

/// Processor time of all key services a record, microseconds.
pub(crate) fn services_processor(of: &str) -> String {
    format!("{of}.services_us")
}

/// Elements that each key service evaluated, a record.
pub(crate) fn elements(of: &str) -> String {
    format!("{of}.elements")
}

/// The figure of this name that belongs to a schema.
pub(crate) fn of_schema(schema: &str, of: &str) -> String {
    format!("{schema}.{of}")
}

/// The figure of this name that belongs to a way of making pseudonyms: a suite and a number of key
/// services.
pub(crate) fn of_way(way: &str, of: &str) -> String {
    format!("{way}.{of}")
}
