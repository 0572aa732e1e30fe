//! The same job done by other programs: the clinic's rows into a durable quorum queue, each message
//! confirmed.

mod list;
mod process;
mod queue;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;
use tokio::time::sleep;

use crate::error::Error;
use crate::{rest, say};
use list::{Done, PEERS, Peer};
use process::Watched;
use queue::Queue;

/// Where `benches/peers/setup` puts what it sets up.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers");
/// The peers' own files.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers");
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

/// Servers and clinic that the peers work on: those that the gateway is measured with.
pub(crate) struct Arena<'a> {
    /// The clinic's server.
    pub postgres: &'a Postgres,
    /// The broker.
    pub rabbitmq: &'a RabbitMq,
    /// The clinic's database.
    pub database: &'a str,
    /// Records in it.
    pub records: u64,
    /// For positions and logs.
    pub folder: &'a Path,
    /// The machine's clock.
    pub clock: &'a dyn Clock,
}

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

/// Runs every peer that is set up, one after the other, and `gateway`, which tells its rate,
/// between them: a machine's mood changes within the hour. Peers that are not set up, and those
/// that fail, are named as progress; where `gateway` has no rate to tell, the other run beside a
/// peer has to do.
pub(crate) async fn measure(
    at: &Arena<'_>,
    mut gateway: impl AsyncFnMut() -> Option<f64>,
) -> Result<Vec<PeerFigure>, Error> {
    let mut figures = Vec::new();
    let mut last = None;
    for peer in &PEERS {
        let Some(version) = version(peer) else {
            say::progress(&format!(
                "{} is left out: not set up, see benches/peers",
                peer.name
            ));
            continue;
        };
        if peer.decodes_log && at.postgres.psql("postgres", "SHOW wal_level").await? != "logical" {
            say::progress(&format!(
                "{} is left out: the server's wal_level is not logical",
                peer.name
            ));
            continue;
        }
        let before = match last {
            Some(rate) => Some(rate),
            None => gateway().await,
        };
        let mut measured = Vec::new();
        for rows in peer.rows_a_message {
            match at.run(peer, *rows).await {
                Ok(run) => measured.push((*rows, run)),
                // A fault of a peer shall not cost the gateway's own figures.
                Err(error @ (Error::Program { .. } | Error::WrongResult(_))) => {
                    say::progress(&format!("{} is left out: {error}", peer.name));
                }
                Err(error) => return Err(error),
            }
        }
        last = gateway().await;
        let beside = match (before, last) {
            (Some(before), Some(after)) => f64::midpoint(before, after),
            (one, other) => one.or(other).unwrap_or(f64::NAN),
        };
        figures.extend(
            measured
                .iter()
                .map(|(rows, run)| run.figure(peer, &version, *rows, beside)),
        );
    }
    Ok(figures)
}

/// The versions of a peer that is set up.
fn version(peer: &Peer) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(PLACE).join(peer.folder).join("VERSION")).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Measured times and counts of one run.
struct Measured {
    records: u64,
    took: Duration,
    /// Records before the first look that found any, and when that was.
    first: Option<(u64, Duration)>,
    all: bool,
    peak_bytes: u64,
    processor_seconds: f64,
}

impl Measured {
    fn figure(&self, peer: &Peer, version: &str, rows: u32, gateway_per_second: f64) -> PeerFigure {
        let records = if rows == 1 { "record" } else { "records" };
        let ended = if self.all {
            String::new()
        } else {
            format!(", ended after {} s", LONGEST.as_secs())
        };
        let started = |(before, since): (u64, Duration)| {
            (self.records - before) as f64 / self.took.saturating_sub(since).as_secs_f64()
        };
        PeerFigure {
            name: peer.name,
            version: version.to_owned(),
            messages: format!("{rows} {records} a message{ended}"),
            records_per_second: self.records as f64 / self.took.as_secs_f64(),
            records_per_second_started: self.first.filter(|_| peer.starts_slowly).map(started),
            peak_mib: self.peak_bytes as f64 / f64::from(1 << 20),
            processor_us: self.processor_seconds * 1e6 / self.records as f64,
            gateway_per_second,
            leaves_out: peer.leaves_out,
        }
    }
}

impl Arena<'_> {
    async fn run(&self, peer: &Peer, rows: u32) -> Result<Measured, Error> {
        say::progress(&format!("peer {}, {rows} a message", peer.name));
        let queue = Queue::declare(&self.rabbitmq.amqp_url(), NAME).await?;
        let name = format!(
            "peer-{}-{rows}",
            peer.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        );
        let position = self.folder.join(format!("{name}.position"));
        let environment = self.environment(&position, rows);
        rest::until_at_rest(self.postgres, self.rabbitmq, self.clock).await?;
        let outcome = self.watch(peer, &name, rows, &queue, &environment).await;
        queue.delete().await?;
        if position.exists() {
            std::fs::remove_file(&position).map_err(Error::io("remove a peer's position"))?;
        }
        if peer.decodes_log {
            self.remove_slot().await?;
        }
        outcome
    }

    /// Starts the peer and looks on until all is in the queue, or it ended, or the time is up.
    async fn watch(
        &self,
        peer: &Peer,
        name: &str,
        rows: u32,
        queue: &Queue,
        environment: &[(&str, String)],
    ) -> Result<Measured, Error> {
        let expected = self.expected(rows).await?;
        let started = self.clock.elapsed();
        let mut program =
            Watched::start(peer, environment, &self.folder.join(format!("{name}.log")))?;
        let mut first = None;
        let all = loop {
            sleep(LOOK_EVERY).await;
            let ended = program.ended()?;
            let held = queue.depth().await?;
            let took = self.clock.elapsed().saturating_sub(started);
            if held > 0 && first.is_none() {
                first = Some((held * u64::from(rows), took));
            }
            match peer.done {
                Done::Ended if ended => break true,
                Done::QueueHoldsAll if held >= expected => break true,
                Done::QueueHoldsAll if ended => {
                    return Err(Error::WrongResult(format!("{} ended by itself", peer.name)));
                }
                _ if took >= LONGEST => break false,
                _ => {}
            }
        };
        let took = self.clock.elapsed().saturating_sub(started);
        let seen = program.end().await?;
        let held = queue.depth().await?;
        if all && held != expected {
            let what = format!(
                "{} left {held} messages in the queue instead of {expected}",
                peer.name
            );
            return Err(Error::WrongResult(what));
        }
        let records = if all {
            self.records
        } else {
            held * u64::from(rows)
        };
        if records == 0 {
            let what = format!(
                "{} had sent nothing after {} s",
                peer.name,
                LONGEST.as_secs()
            );
            return Err(Error::WrongResult(what));
        }
        Ok(Measured {
            records,
            took,
            first,
            all,
            peak_bytes: seen.peak_bytes,
            processor_seconds: seen.processor_seconds,
        })
    }

    /// Number of messages that all rows make; no message holds rows of both tables.
    async fn expected(&self, rows: u32) -> Result<u64, Error> {
        let mut records = 0;
        let mut messages = 0;
        for table in TABLES {
            let answer = self
                .postgres
                .psql(self.database, &format!("SELECT count(*) FROM {table}"))
                .await?;
            let count: u64 = answer
                .trim()
                .parse()
                .map_err(|_| Error::WrongResult(format!("no count of {table}")))?;
            records += count;
            messages += count.div_ceil(u64::from(rows));
        }
        if records == self.records {
            return Ok(messages);
        }
        Err(Error::WrongResult(format!(
            "the clinic holds {records} of {} records",
            self.records
        )))
    }

    fn environment(&self, position: &Path, rows: u32) -> [(&'static str, String); 11] {
        let port = self.postgres.port();
        [
            ("PEER_POSTGRES", self.postgres.url(self.database)),
            (
                "PEER_JDBC",
                format!("jdbc:postgresql://127.0.0.1:{port}/{}", self.database),
            ),
            ("PEER_POSTGRES_PORT", port.to_string()),
            ("PEER_DATABASE", self.database.to_owned()),
            ("PEER_RABBITMQ", self.rabbitmq.amqp_url()),
            ("PEER_RABBITMQ_PORT", self.rabbitmq.port().to_string()),
            ("PEER_EXCHANGE", NAME.to_owned()),
            ("PEER_ROWS_A_MESSAGE", rows.to_string()),
            ("PEER_POSITION", position.display().to_string()),
            ("PEER_SLOT", SLOT.to_owned()),
            ("PEER_HTTP_PORT", testbed::ports::free_port().to_string()),
        ]
    }

    /// A slot that is left keeps the server's log for ever, and its database from being dropped.
    async fn remove_slot(&self) -> Result<(), Error> {
        let end = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = \
             '{SLOT}' AND active;
             SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                 WHERE slot_name = '{SLOT}' AND NOT active;
             SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{SLOT}'"
        );
        // The server needs a moment to notice that the client is gone.
        while self
            .postgres
            .psql(self.database, &end)
            .await?
            .trim()
            .lines()
            .last()
            != Some("0")
        {
            sleep(LOOK_EVERY).await;
        }
        self.postgres
            .psql(self.database, &format!("DROP PUBLICATION IF EXISTS {SLOT}"))
            .await?;
        Ok(())
    }
}

/// A path or word of the list with `{place}` (where the peer is set up) and `{source}` (its own
/// files) filled in.
fn filled(word: &str, folder: &str) -> PathBuf {
    let place = format!("{PLACE}/{folder}");
    PathBuf::from(
        word.replace("{place}", &place)
            .replace("{source}", &format!("{SOURCE}/{folder}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_what_was_sent() {
        let mut measured = Measured {
            records: 10_000,
            took: Duration::from_secs(10),
            first: Some((1000, Duration::from_secs(4))),
            all: true,
            peak_bytes: 3 << 20,
            processor_seconds: 0.5,
        };
        let slow = PEERS.iter().find(|peer| peer.starts_slowly).unwrap();
        let figure = measured.figure(slow, "1.0", 1, 3000.0);
        assert_eq!(figure.gateway_times(), 2.0);
        assert_eq!(
            (figure.records_per_second, figure.records_per_second_started),
            (1000.0, Some(1500.0))
        );
        assert_eq!((figure.peak_mib, figure.processor_us), (3.0, 50.0));
        assert_eq!(figure.messages, "1 record a message");
        measured.all = false;
        let script = PEERS.iter().find(|peer| !peer.starts_slowly).unwrap();
        let figure = measured.figure(script, "1.0", 100, 3000.0);
        assert_eq!(figure.gateway_times(), 3.0);
        assert_eq!(figure.messages, "100 records a message, ended after 60 s");
        assert_eq!(figure.records_per_second_started, None);
    }

    #[test]
    fn every_script_of_the_list_is_there() {
        for peer in &PEERS {
            let own = peer
                .arguments
                .iter()
                .filter(|word| word.starts_with("{source}"));
            for path in own.map(|word| filled(word, peer.folder)) {
                assert!(path.is_file(), "{}", path.display());
            }
            assert!(
                Path::new(SOURCE).join(peer.folder).is_dir(),
                "{}",
                peer.folder
            );
        }
    }
}
