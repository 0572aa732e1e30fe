//! The words around the tables.

use crate::arguments::Part;

/// The heading over a part's tables.
pub(crate) const fn title(part: Part) -> &'static str {
    match part {
        Part::Stages => "Stages beside their limits",
        Part::Peers => "What one would write or install instead",
        Part::Latency => "A fact's way, from commit to commit",
        Part::Crowd => "Many gateways at once",
        Part::Growth => "As clinics grow",
        Part::Idle => "An unchanged clinic",
        Part::Schemas => "Clinics whose tables are joined",
        Part::Fhir => "A clinic whose system offers FHIR",
        Part::Suites => "A clinic in each pseudonym suite",
        Part::Relay => "The mix relay",
        Part::Tokens => "One-use tokens",
        Part::Rekey => "Stored names under a new key",
        Part::Passes => "Passes: a person among millions",
    }
}

/// The top of the page.
pub(crate) const INTRODUCTION: &str = "\
# Performance

Measured by `cargo xtask bench --write`, which wrote this page; do not edit it. Run it on a \
machine with nothing else to
do: it builds the programs in release mode, starts private servers (PostgreSQL, MariaDB, \
RabbitMQ) with their disks' safety
on, makes clinics of invented people, and fails if a single fact is missing in the registry at \
the end or anything is sent
twice. `cargo xtask bench --help` tells its parts and options. Raw samples stay in \
`target/bench/`, those
that the page shows in `benches/results/` too; the page shows the newest of each part, and above \
each table when and where it
was measured and what the disk was like.

Where a cell has parentheses, it is the median with the least and the greatest; else it was \
measured once (sizes above
1,000,000; in *As clinics grow* above 100,000). In each repetition everything is measured once, \
one thing after the
other, and ratios are taken within a repetition; where the table has a row *pairs*, the two \
sides of a ratio are measured in
turn, each of them as often first as second. What the servers still have to do for the \
measurement before is not paid by the
next: rates, and the cost of an unchanged clinic, are measured once PostgreSQL and RabbitMQ \
together have taken less than 5 % of a
processor for two seconds, or after a minute. Servers, programs and benchmark share the machine, \
so the figures tell what one small
machine does with everything on it.
";

/// Above the goals.
pub(crate) const GOALS: &str = "\
Computed from the tables below, medians by medians of the same repetition at the largest size of \
*Stages*; beside peers from the
gateway's own runs before and after each. `so far`: kept, but not measured up to 10,000,000 \
records. `bound`: about what
would be reached if the machine's processors did nothing but what a program with pseudonyms and a \
seal cannot leave out (see *Bound*).

";

/// Below the tables.
pub(crate) const ROWS: &str = "\
## What the rows are

- **Clinic.** Two tables (a person has two vaccinations and a test; SNILS and OMS number, or a \
foreign passport), each with
  a primary key and an index on the change stamp and the id. The gateway's settings are its \
  defaults unless the line above a table says
  otherwise, but for the outbox's size limit (16 GiB, since no registry answers while it is filled).
- **`COPY … TO STDOUT`.** The two configured queries streamed out over a loopback connection and \
thrown away: nothing
  that reads the clinic's records can be faster.
- **Bare keyset loop.** The same queries page by page on (`changed_at`, `record_id`), one \
connection, one page after the
  other, prepared statements, pages of 5000. Every column of every row is decoded into an owned \
  value (texts, dates, numbers,
  time stamps), and dropped.
- **SQLite.** The very batches a gateway made, as blobs into one table: write-ahead log, \
`synchronous = FULL`, 20 batches a
  transaction, one connection.
- **Broker.** The same batches, published by a bare loop to a durable quorum queue: persistent, \
mandatory, 64 waiting for
  their confirm; then consumed by another, 64 in hand, each acknowledged.
- **The registry's rows by `COPY`.** What the registry of the same repetition stored (facts, \
pseudonyms, subjects: every
  table that has rows) is copied out, the database is copied and its tables emptied, and the rows \
  go in again with all columns,
  constraints and indexes: one connection, one `COPY` a table, in the order they were stored.
- **Computing alone.** The same rows, made in memory before the clock starts: pseudonymised, \
encoded, compressed and sealed in
  batches of 400 by the gateway's own libraries, one after the other on one thread.
- **Bound.** The number of processors, divided by the processor time a record of three things: \
PostgreSQL's for the bare keyset
  loop, computing alone, the broker's for the bare loop of batches. With such pages, such batches \
  and these libraries no gateway
  on this machine can be much faster, whatever else it leaves out: decoding rows, knowing what \
  was sent, any disk.
- **Gateway.** `clinic-gateway sync` with an empty outbox as a process of its own, from its start \
to its end: reading,
  pseudonymising, comparing, sealing, committing to the outbox, publishing and being confirmed. \
  Peak memory is the
  process's `VmHWM`, processor time that of all its threads.
- **Registry.** `city-registry run --drain` into an empty database, one consumer, from its start \
(which makes the tables) to
  its last commit, as PostgreSQL notes it: opening, validating, second-layer HMAC, linking, \
  committing, acknowledging.
- **Written to disk.** Linux's `write_bytes` of the process; of a server, with its child \
processes and, for PostgreSQL, a
  checkpoint before and after.
- **Peers.** Each set up as its own manual advises (`benches/peers/`), on the largest clinic of \
*Stages*: the same rows to a
  durable quorum queue, persistent, confirmed, able to go on where it was ended. None seals, \
  pseudonymises or compares. The
  gateway runs between them; *gateway beside it / it* takes its mean before and after.
- **Second `sync`.** The same gateway once more: it looks back over its overlap and sends \
nothing. Mostly what starting,
  connecting and ending cost, which is part of the gateway's figure above as well.
- **`sync --full`.** Everything is read, pseudonymised and compared again, and nothing is sent.
- **`sweep`.** All ids and change stamps are read and compared with what the gateway remembers; \
nothing differs.
- **`reconcile`.** Every record is asked after in a sealed probe, a running registry answers, and \
holds all of them: from the
  command's start to its end.
- **Restart.** `clinic-gateway run` on the state of all these records, its batches still waiting \
for receipts, until
  `/health/ready` says yes: outbox open, broker connected.
- **Broker back → outbox empty.** The broker is stopped, `clinic-gateway run` reads the whole \
clinic into its outbox, the
  broker comes back; from the moment it takes clients to the last confirm. Finding it again is \
  counted, with at most a
  second between two tries (`max_backoff_seconds = 1`).
- **State.** The outbox's files after the first `sync`, less the sealed bytes in them, which go \
with their receipts.
- **Latency.** Rows are committed at the clinic one a transaction, and matched by their record \
digest with the registry's
  rows; PostgreSQL's commit times of both, on one server. The registry runs beside.
- **Unchanged clinic.** `clinic-gateway run` under the default schedule; statements as PostgreSQL \
logs them.
- **Tables that are joined.** The examples of `config/clinics` with invented persons. The bare \
stream reads the same queries
  once over one connection, decodes every column into an owned text, and drops it; a `sync` into \
  the broker stands beside it, and
  the gateway's first `sync` of as many records of one indexed table (*Clinic*, above). Rows read \
  are what the server counts of its
  own tables and indexes (`pg_stat_user_tables`, `Handler_read_%`) for the third `sync`.
- **FHIR.** A small server in the benchmark's own process gives the pages: two searches, \
sorted by stamp, patients included,
  500 records a page. The bare loop asks for them one after the other over one connection, \
  parses each into a tree of values,
  and drops it; the gateway's first `sync` stands beside it. Most of both is the server's time. With \
  `--fhir-url` the same is
  measured on a server that somebody else made, in a column of its own, and beside a loop that leaves \
  the patients out.
- **Pseudonym suites.** One table of vaccinations; every person has one record and one identifier, \
a SNILS, so that no name is
  evaluated twice. `clinic-gateway sync` as above, in the suite `voprf` with one and with two \
  `key-service run` on the loopback
  address, without TLS. The bare calls are those of the crate `voprf` for as many SNILS: blind, \
  evaluate with one proof for
  256, verify and compute the output, with two services evaluate and verify twice; a thread for \
  each processor, values in memory.
  In the second clinic every person has three records, as many records apart as there are \
  persons: the gateway asks once for what it
  remembers. Elements are what `GET /v1/keys` counts, with the fill of requests.
  The limit is on processor time: that of the bare calls at both ends, divided by that of the \
  gateway and all key services
  together, each of as many persons. A load has the program's start, HTTP, the fill, the reading \
  and the outbox in it, but not
  what PostgreSQL and the broker take, nor any wait. The gateway verifies a proof by one sum over \
  all elements of a request,
  which the crate does not, so it can take less than the bare calls.
- **The mix relay.** Its own code in the benchmark's process, between two virtual hosts of \
one broker: four accounts with a
  durable quorum queue each, filled before the clock starts, and the registry's queue. Slots \
  take up to 10,000 batches and
  follow one another without a pause, so that they do not bound it: measured is the work of \
  slots, from the first that has a
  batch to the last confirm. It takes off the outer seal, shuffles, publishes, and \
  acknowledges what was confirmed. The bare
  loop is lapin alone: a consumer for each queue, as many in hand (512 of a queue), one \
  publishing channel, persistent,
  mandatory, 64 waiting for their confirm, each acknowledged once it is confirmed; it passes \
  bytes on as they come.
  The bound is that of a bare loop that takes the seals off, too: small
  batches miss the limit for it. Processor time is that of this process and the broker, with \
  connecting and the look that
  all has arrived.
- **One-use tokens.** In the suite `hmac`, the fastest, which tokens slow down most. *Drafts \
→ sealed and durable*: the
  gateway's own libraries in the benchmark's process compare, encode, seal and commit the \
  drafts of the clinic, with genuine
  tokens that were fetched before the clock started; nothing is published. *A first load*: \
  `clinic-gateway sync` as above. It
  has no token when it starts, and fetches all that it needs from `key-service run` as an \
  issuer on the same processors, so
  that the issuer's work is in it, too. *Registry*: `city-registry run --drain` as above over \
  the batches of that load; it
  verifies every token, and spends it in the transaction that stores its batch.
- **Stored names under a new key.** The registry's own library in the benchmark's process, \
every time on a fresh copy of one
  filled store: what `city-registry rekey` does, from its first statement to the commit that \
  renames everything. The bare
  multiplications are of as many elements in memory, a share of them on each processor. The \
  bare statements are one for each
  of five tables, in one transaction: they give every row that the change rewrites other \
  values of the same length, which the
  database makes up, in SQLite with as many pages in memory as the change has.
  The renaming has to be one transaction after all multiplications; so the \
  bound is that of a change which
  takes no more than bare multiplications and then bare statements.
  The database alone puts the limit out of reach. Processor time is that of this process, of \
  PostgreSQL and of the broker,
  which is idle.
- **Eligibility, read by key.** In turn, one after the other on one connection each, and every \
person once: what the portal
  answers whether somebody is entitled, from the pseudonyms to the answer, and `SELECT subject_id \
  FROM pseudonym WHERE
  value = $1` for somebody else with the same driver. Of ten, one is a person whom nobody knows. \
  The persons (one to three
  names, one to three facts) are made by statements over the registry's own tables.
- **Look for passes that have ended.** `Passes::publish`, with its signatures: at everything that \
was issued, and at those
  whose facts have changed, of whom it ends 800 passes.
- **fsync, writing a long file.** The temporary folder's disk: 4 KiB a time, and 512 MiB with one \
fsync at its end. Outbox,
  broker and registry wait for it.
";
