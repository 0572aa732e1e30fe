//! Session: the options, servers and programs that all parts of one run work with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::arguments::BenchOptions;
use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::machine;
use crate::print;
use crate::processes::config::{ClinicServer, ProgramFolder, Queue};
use crate::processes::figures::{own_seconds, server_seconds};
use crate::processes::load;
use crate::processes::programs::Programs;
use crate::results::PartResult;
use crate::results::name;

/// Clinics above this many records are measured once.
pub(crate) const ONCE_ABOVE: u64 = 1_000_000;
/// The queues of the gateway's default configuration: facts, and dead letters.
pub(crate) const QUEUES: [&str; 2] = ["clinic.facts.intake", "clinic.facts.dead"];

/// Options and servers of parts that run no program.
pub(crate) struct Servers<'a> {
    /// Clock of the machine.
    pub clock: Arc<dyn Clock>,
    /// Options of the command line.
    pub options: &'a BenchOptions,
    /// Folder of everything that the run makes.
    pub folder: &'a Path,
    /// Server of registries.
    pub postgres: Postgres,
    /// Broker of both sides.
    pub rabbitmq: RabbitMq,
}

impl Servers<'_> {
    /// Waits until PostgreSQL and the broker have done what the measurement before left them.
    pub(crate) async fn wait_for_idle_servers(&self) -> Result<(), Error> {
        load::wait_for_idle_servers(&self.postgres, &self.rabbitmq, &*self.clock).await
    }

    /// Processor time so far of this process and of both servers, in seconds.
    pub(crate) fn processor_seconds(&self) -> Result<f64, Error> {
        let postgres = server_seconds("PostgreSQL", self.postgres.process_id())?;
        let rabbitmq = server_seconds("RabbitMQ", self.rabbitmq.process_id())?;
        Ok(own_seconds()? + postgres + rabbitmq)
    }
}

/// Options, servers and programs of a run. The broker's queues are empty when a measurement begins,
/// and when it has ended well.
pub(crate) struct BenchSession<'a> {
    /// Clock of the machine.
    pub clock: Arc<dyn Clock>,
    /// Options of the command line.
    pub options: &'a BenchOptions,
    /// Folder of everything that the run makes.
    pub folder: &'a Path,
    /// Server of the clinics and of most registries; it notes the moment of every commit
    /// (`track_commit_timestamp`).
    pub postgres: Postgres,
    /// Broker between both programs.
    pub rabbitmq: RabbitMq,
    /// The programs, and where their keys are.
    pub programs: Programs,
    /// Gateways that have synced their whole clinic, by its records, for a later part.
    pub synced: RefCell<BTreeMap<u64, ProgramFolder>>,
}

impl BenchSession<'_> {
    /// The clinic of this size.
    pub(crate) async fn clinic(&self, records: u64) -> Result<PostgresClinic, Error> {
        print::progress(&format!("a clinic of {records} records"));
        PostgresClinic::at(&self.postgres, records).await
    }

    /// Time since `started`, a value of the clock's `elapsed`.
    pub(crate) fn since(&self, started: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(started)
    }

    /// Probes the disk, and notes it for the part and for the size that is measured next.
    pub(crate) fn probe_disk(
        &self,
        records: Option<u64>,
        result: &mut PartResult,
    ) -> Result<(), Error> {
        let fsync = machine::fsync_ms(self.folder, &*self.clock)?;
        let write = machine::write_mb_s(self.folder, &*self.clock)?;
        let size = records.map(|records| result.sizes.entry(records).or_default());
        for figures in size.into_iter().chain([&mut result.probes]) {
            figures.push(name::FSYNC, fsync);
            figures.push(name::WRITE, write);
        }
        Ok(())
    }

    /// Settings of the programs, and the numbers behind the defaults.
    pub(crate) async fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        let page = self
            .setting("page_records", self.options.page_records)
            .await?;
        let batch = self
            .setting("batch_events", self.options.batch_events)
            .await?;
        Ok(vec![
            ("records in a page of the gateway".to_owned(), page),
            ("events in a batch, at most".to_owned(), batch),
        ])
    }

    async fn setting(&self, name: &str, set: Option<u32>) -> Result<String, Error> {
        if let Some(value) = set {
            return Ok(format!("{value} (set for this run)"));
        }
        let default = self.programs.default_of(name).await?;
        Ok(default.map_or_else(
            || "the default".to_owned(),
            |value| format!("{value} (the default)"),
        ))
    }

    /// Clinics whose idle cost is measured: all from a million records on, or else the largest.
    pub(crate) fn idle_sizes(&self) -> Vec<u64> {
        let sizes = &self.options.records;
        let large: Vec<u64> = sizes
            .iter()
            .copied()
            .filter(|records| *records >= ONCE_ABOVE)
            .collect();
        if large.is_empty() {
            sizes.last().copied().into_iter().collect()
        } else {
            large
        }
    }

    /// A PostgreSQL clinic's gateway with an empty outbox.
    pub(crate) fn gateway(
        &self,
        clinic: &PostgresClinic,
        name: &str,
        queue: Queue,
    ) -> Result<ProgramFolder, Error> {
        let source = ClinicServer::postgres(self.postgres.port(), &clinic.database);
        self.programs
            .gateway(name, &source, queue, self.options.batch_events)
    }

    /// The broker as a queue of both programs.
    pub(crate) fn queue(&self) -> Queue {
        Queue::RabbitMq(self.rabbitmq.port())
    }

    /// Waits until PostgreSQL and the broker have done what the measurement before left them.
    pub(crate) async fn wait_for_idle_servers(&self) -> Result<(), Error> {
        load::wait_for_idle_servers(&self.postgres, &self.rabbitmq, &*self.clock).await
    }

    /// Processor time of PostgreSQL so far, in seconds.
    pub(crate) fn postgres_seconds(&self) -> Result<f64, Error> {
        server_seconds("PostgreSQL", self.postgres.process_id())
    }

    /// Empties the queues. Before the first batch there are none: that is as good.
    pub(crate) async fn purge_queues(&self) {
        for queue in QUEUES {
            let _none_yet = self.rabbitmq.ctl(&["purge_queue", queue]).await;
        }
    }

    /// Drops a database whatever is connected to it.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let drop = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
        self.postgres.psql("postgres", &drop).await?;
        Ok(())
    }

    /// Removes what a finished program left, unless it is to be kept.
    pub(crate) fn remove(&self, folder: ProgramFolder) -> Result<(), Error> {
        if self.options.keep {
            Ok(())
        } else {
            folder.remove()
        }
    }
}
