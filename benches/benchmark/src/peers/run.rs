//! Run of a peer, from its start until all records are in its queue.

use std::path::Path;
use std::time::Duration;

use testbed::postgres::Postgres;
use tokio::time::sleep;

use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::limits::queue::MeasuredQueue;
use crate::peers::list::{Done, Peer};
use crate::peers::process::PeerProcess;
use crate::print;
use crate::processes::figures::ProcessFigures;
use crate::session::BenchSession;

/// A peer that takes longer is ended, and its rate is that of what the queue holds by then.
const LONGEST: Duration = Duration::from_secs(60);
/// Interval between two looks at process and queue.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Exchange, queue and routing key.
const NAME: &str = "bench.peers";
/// Replication slot and publication of a peer that makes them.
const SLOT: &str = "bench_peers";
/// Tables that the peers read.
const TABLES: [&str; 2] = ["mis.vaccination", "mis.test"];

/// Figures of a peer in one run.
#[derive(Debug)]
pub(crate) struct PeerFigure {
    /// Name of the program.
    pub name: &'static str,
    /// Version of the program and those of its drivers, as they tell them.
    pub version: String,
    /// Text on how records were put into messages, and whether all of them were sent.
    pub messages: String,
    /// Rows confirmed in a second, from the process's start.
    pub records_per_second: f64,
    /// The same from the first message in the queue on; only of programs that need long to start.
    pub records_per_second_started: Option<f64>,
    /// Most memory held at once, MiB.
    pub peak_mib: f64,
    /// Processor time a record, µs.
    pub processor_us: f64,
    /// The gateway's rate in the same minutes: the mean of its runs before and after.
    pub gateway_per_second: f64,
    /// Text on what the gateway does and the peer does not.
    pub leaves_out: &'static str,
}

impl PeerFigure {
    /// Ratio of the gateway's rate to the peer's. A program that needs long to start is taken by
    /// what it does once it has started.
    pub(crate) fn gateway_times(&self) -> f64 {
        self.gateway_per_second
            / self
                .records_per_second_started
                .unwrap_or(self.records_per_second)
    }
}

/// First look that found records in the queue.
#[derive(Debug, Clone, Copy)]
struct FirstLook {
    /// Records that the queue held by then.
    records: u64,
    /// Time from the process's start to it.
    since_start: Duration,
}

/// Times and counts of one run.
pub(crate) struct PeerRun {
    rows_a_message: u32,
    records: u64,
    took: Duration,
    first_look: Option<FirstLook>,
    /// True if all records were sent.
    all: bool,
    process: ProcessFigures,
}

impl PeerRun {
    /// Figures of the run, beside the gateway's rate in the same minutes.
    pub(crate) fn figure(&self, peer: &Peer, version: &str, gateway_per_second: f64) -> PeerFigure {
        let rows = self.rows_a_message;
        let records = if rows == 1 { "record" } else { "records" };
        let ended = if self.all {
            String::new()
        } else {
            format!(", ended after {} s", LONGEST.as_secs())
        };
        let once_started = |first: FirstLook| {
            let took = self.took.saturating_sub(first.since_start);
            (self.records - first.records) as f64 / took.as_secs_f64()
        };
        PeerFigure {
            name: peer.name,
            version: version.to_owned(),
            messages: format!("{rows} {records} a message{ended}"),
            records_per_second: self.records as f64 / self.took.as_secs_f64(),
            records_per_second_started: self
                .first_look
                .filter(|_| peer.starts_slowly)
                .map(once_started),
            peak_mib: self.process.peak_mib(),
            processor_us: self.process.processor_seconds * 1e6 / self.records as f64,
            gateway_per_second,
            leaves_out: peer.leaves_out,
        }
    }
}

/// Runs a peer with so many rows a message.
pub(crate) async fn run(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    peer: &Peer,
    rows: u32,
) -> Result<PeerRun, Error> {
    print::progress(&format!("peer {}, {rows} a message", peer.name));
    let queue = MeasuredQueue::declare(&session.rabbitmq.amqp_url(), NAME).await?;
    let name = peer.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let name = format!("peer-{name}-{rows}");
    let position = session.folder.join(format!("{name}.position"));
    let variables = variables(session, clinic, &position, rows);
    session.wait_for_idle_servers().await?;
    let log = session.folder.join(format!("{name}.log"));
    let outcome = async {
        let expected = count_messages(session, clinic, rows).await?;
        let started = session.clock.elapsed();
        let process = PeerProcess::start(peer, &variables, &log)?;
        let watched = Watched {
            peer,
            rows,
            queue: &queue,
            expected,
            records: clinic.records,
        };
        watched.until_done(session, process, started).await
    };
    let outcome = outcome.await;
    queue.delete().await?;
    if position.exists() {
        std::fs::remove_file(&position).map_err(Error::io("remove a peer's position"))?;
    }
    if peer.decodes_log {
        remove_slot(&session.postgres, &clinic.database).await?;
    }
    outcome
}

/// A run that is watched.
struct Watched<'a> {
    peer: &'a Peer,
    rows: u32,
    queue: &'a MeasuredQueue,
    /// Messages that all records make.
    expected: u64,
    /// Records of the clinic.
    records: u64,
}

impl Watched<'_> {
    /// Looks on until all is in the queue, or the peer ended, or the time is up.
    async fn until_done(
        &self,
        session: &BenchSession<'_>,
        mut process: PeerProcess,
        started: Duration,
    ) -> Result<PeerRun, Error> {
        let mut first_look = None;
        let all = loop {
            sleep(LOOK_EVERY).await;
            let ended = process.ended()?;
            let held = self.queue.depth().await?;
            let took = session.since(started);
            if held > 0 && first_look.is_none() {
                first_look = Some(FirstLook {
                    records: held * u64::from(self.rows),
                    since_start: took,
                });
            }
            match self.peer.done {
                Done::Ended if ended => break true,
                Done::QueueHoldsAll if held >= self.expected => break true,
                Done::QueueHoldsAll if ended => {
                    let what = format!("{} ended by itself", self.peer.name);
                    return Err(Error::WrongResult(what));
                }
                _ if took >= LONGEST => break false,
                _ => {}
            }
        };
        let took = session.since(started);
        let process = process.end().await?;
        let records = self.sent_records(all).await?;
        Ok(PeerRun {
            rows_a_message: self.rows,
            records,
            took,
            first_look,
            all,
            process,
        })
    }

    /// Number of records in the queue; fails if there are none, or not all where there should be.
    async fn sent_records(&self, all: bool) -> Result<u64, Error> {
        let name = self.peer.name;
        let held = self.queue.depth().await?;
        if all && held != self.expected {
            let expected = self.expected;
            return Err(Error::WrongResult(format!(
                "{name} left {held} messages in the queue instead of {expected}"
            )));
        }
        let records = if all {
            self.records
        } else {
            held * u64::from(self.rows)
        };
        if records == 0 {
            let seconds = LONGEST.as_secs();
            let what = format!("{name} had sent nothing after {seconds} s");
            return Err(Error::WrongResult(what));
        }
        Ok(records)
    }
}

/// Number of messages that all rows make; no message holds rows of both tables.
async fn count_messages(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    rows: u32,
) -> Result<u64, Error> {
    let mut records = 0;
    let mut messages = 0;
    for table in TABLES {
        let query = format!("SELECT count(*) FROM {table}");
        let answer = session.postgres.psql(&clinic.database, &query).await?;
        let count: u64 = answer
            .trim()
            .parse()
            .map_err(|_| Error::WrongResult(format!("no count of {table}")))?;
        records += count;
        messages += count.div_ceil(u64::from(rows));
    }
    if records == clinic.records {
        return Ok(messages);
    }
    Err(Error::WrongResult(format!(
        "the clinic holds {records} of {} records",
        clinic.records
    )))
}

/// Environment variables of a peer.
fn variables(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    position: &Path,
    rows: u32,
) -> [(&'static str, String); 11] {
    let port = session.postgres.port();
    [
        ("PEER_POSTGRES", session.postgres.url(&clinic.database)),
        (
            "PEER_JDBC",
            format!("jdbc:postgresql://127.0.0.1:{port}/{}", clinic.database),
        ),
        ("PEER_POSTGRES_PORT", port.to_string()),
        ("PEER_DATABASE", clinic.database.clone()),
        ("PEER_RABBITMQ", session.rabbitmq.amqp_url()),
        ("PEER_RABBITMQ_PORT", session.rabbitmq.port().to_string()),
        ("PEER_EXCHANGE", NAME.to_owned()),
        ("PEER_ROWS_A_MESSAGE", rows.to_string()),
        ("PEER_POSITION", position.display().to_string()),
        ("PEER_SLOT", SLOT.to_owned()),
        ("PEER_HTTP_PORT", testbed::ports::free_port().to_string()),
    ]
}

/// Removes the replication slot: one that is left keeps the server's log for ever, and its database
/// from being dropped.
async fn remove_slot(postgres: &Postgres, database: &str) -> Result<(), Error> {
    let end = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = \
             '{SLOT}' AND active;
             SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                 WHERE slot_name = '{SLOT}' AND NOT active;
             SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{SLOT}'"
    );
    // The server needs a moment to notice that the client is gone.
    while postgres.psql(database, &end).await?.trim().lines().last() != Some("0") {
        sleep(LOOK_EVERY).await;
    }
    let drop = format!("DROP PUBLICATION IF EXISTS {SLOT}");
    postgres.psql(database, &drop).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::list::PEERS;

    #[test]
    fn rates_are_those_of_what_was_sent() {
        let mut measured = PeerRun {
            rows_a_message: 1,
            records: 10_000,
            took: Duration::from_secs(10),
            first_look: Some(FirstLook {
                records: 1000,
                since_start: Duration::from_secs(4),
            }),
            all: true,
            process: ProcessFigures {
                peak_bytes: 3 << 20,
                processor_seconds: 0.5,
                written_bytes: 0,
            },
        };
        let slow = PEERS.iter().find(|peer| peer.starts_slowly).unwrap();
        let figure = measured.figure(slow, "1.0", 3000.0);
        assert_eq!(figure.gateway_times(), 2.0);
        assert_eq!(
            (figure.records_per_second, figure.records_per_second_started),
            (1000.0, Some(1500.0))
        );
        assert_eq!((figure.peak_mib, figure.processor_us), (3.0, 50.0));
        assert_eq!(figure.messages, "1 record a message");
        measured.all = false;
        measured.rows_a_message = 100;
        let script = PEERS.iter().find(|peer| !peer.starts_slowly).unwrap();
        let figure = measured.figure(script, "1.0", 3000.0);
        assert_eq!(figure.gateway_times(), 3.0);
        assert_eq!(figure.messages, "100 records a message, ended after 60 s");
        assert_eq!(figure.records_per_second_started, None);
    }
}
