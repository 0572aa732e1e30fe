//! Single measurements that stages and growth are made of: one program doing one thing, checked,
//! and its figures noted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::limits::copy;
use crate::parts::waiting::last_commit;
use crate::processes::child::{Background, CompletedRun};
use crate::processes::config::{ProgramFolder, Queue};
use crate::processes::figures::server_written_bytes;
use crate::processes::ready;
use crate::results::{Figures, name};
use crate::session::{BenchSession, QUEUES};

/// Interval between two looks at a running gateway's status.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A registry that holds a clinic's facts.
pub(crate) struct FilledRegistry {
    /// Folder of its configuration.
    pub folder: ProgramFolder,
    /// Name of its database.
    pub database: String,
}

impl BenchSession<'_> {
    /// Makes the clinic's sealed batches, as a gateway puts them into a directory.
    pub(crate) async fn seal_batches(
        &self,
        clinic: &PostgresClinic,
        figures: &mut Figures,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let gateway = self.gateway(
            clinic,
            &format!("{}-harvest", clinic.records),
            Queue::Directory,
        )?;
        let (_, summary) = self.programs.sync(&gateway).await?;
        expect_all_sent(&summary, clinic.records)?;
        let read = || -> std::io::Result<Vec<Vec<u8>>> {
            let entries = std::fs::read_dir(gateway.path().join("queue/incoming"))?;
            entries.map(|entry| std::fs::read(entry?.path())).collect()
        };
        let batches = read().map_err(Error::io("read the queue directory"))?;
        self.remove(gateway)?;
        let bytes: usize = batches.iter().map(Vec::len).sum();
        figures.push(name::BATCHES, batches.len() as f64);
        figures.push_each(name::SEALED_BYTES, clinic.records, bytes as f64);
        Ok(batches)
    }

    /// Syncs a gateway with an empty outbox: from the source to broker-confirmed. `of` names its
    /// figures.
    pub(crate) async fn first_sync(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        of: &str,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let broker = || {
            self.rabbitmq
                .process_id()
                .map(server_written_bytes)
                .unwrap_or_default()
        };
        let before = broker();
        let (run, summary) = self.programs.sync(gateway).await?;
        expect_all_sent(&summary, records)?;
        push_run(figures, of, records, run.took, &run);
        if of == name::GATEWAY {
            // What it still writes then is the measurement's too.
            self.wait_for_idle_servers().await?;
            figures.push_each(
                name::BROKER_WRITTEN,
                records,
                broker().saturating_sub(before) as f64,
            );
        }
        Ok(())
    }

    /// Notes the bytes that the gateway keeps on its disk, without the sealed batches that wait for
    /// receipts.
    pub(crate) async fn measure_state(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        let status = self.programs.status(gateway).await?;
        let sealed = count(&status["backlog"], "bytes");
        let state = gateway.state_bytes()?.checked_sub(sealed);
        let state = state.ok_or_else(|| {
            Error::WrongResult("an outbox is smaller than what lies in it".into())
        })?;
        figures.push_each(name::STATE_BYTES, records, state as f64);
        Ok(())
    }

    /// Fills a registry with an empty database: from the queue to committed; nothing may be
    /// missing.
    pub(crate) async fn store(
        &self,
        label: &str,
        records: u64,
        figures: &mut Figures,
    ) -> Result<FilledRegistry, Error> {
        self.store_with("", label, records, figures).await
    }

    /// Fills a registry whose configuration has another section beside the usual ones.
    pub(crate) async fn store_with(
        &self,
        section: &str,
        label: &str,
        records: u64,
        figures: &mut Figures,
    ) -> Result<FilledRegistry, Error> {
        let database = format!("registry-{label}");
        let url = self.postgres.create_database(&database).await?;
        let registry = self.programs.registry(&database, &url, self.queue())?;
        registry.append_section(section)?;
        self.postgres.psql("postgres", "CHECKPOINT").await?;
        self.wait_for_idle_servers().await?;
        let before = copy::written_bytes(&self.postgres);
        let run = self.programs.drain(&registry).await?;
        self.postgres.psql("postgres", "CHECKPOINT").await?;
        let written = copy::written_bytes(&self.postgres).saturating_sub(before);
        expect(
            "facts at the registry",
            self.programs.facts(&registry).await?,
            records,
        )?;
        for queue in QUEUES {
            expect(
                &format!("batches left in the queue {queue}"),
                self.rabbitmq.queue_depth(queue).await?,
                0,
            )?;
        }
        // The program goes on waiting for a while before it takes the queue for empty; that is no
        // work.
        let took = (last_commit(&self.postgres, &database).await? - run.started_at)
            .to_std()
            .unwrap_or_default();
        push_run(figures, name::REGISTRY, records, took, &run);
        figures.push_each(name::REGISTRY_WRITTEN, records, written as f64);
        Ok(FilledRegistry {
            folder: registry,
            database,
        })
    }

    /// Copies the registry's rows by `COPY`.
    pub(crate) async fn copy_in(
        &self,
        database: &str,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let copied = copy::measure(&self.postgres, database, self.folder, &*self.clock).await?;
        figures.push_rate(name::COPY_IN, records, copied.took);
        figures.push_each(name::COPY_IN_WRITTEN, records, copied.written_bytes as f64);
        Ok(())
    }

    /// Reconciles: the gateway asks a registry that holds everything whether it does.
    pub(crate) async fn reconcile(
        &self,
        gateway: &ProgramFolder,
        registry: &ProgramFolder,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let mut consumer = self.programs.start_registry(registry)?;
        let (run, answer) = self.programs.reconcile(gateway).await?;
        consumer.check_running("city-registry")?;
        consumer.end().await?;
        expect(
            "records that are equal at the registry",
            count(&answer["report"], "equal"),
            records,
        )?;
        push_run(figures, name::RECONCILE, records, run.took, &run);
        Ok(())
    }

    /// Drops a finished registry's database and removes its folder.
    pub(crate) async fn drop_registry(&self, registry: FilledRegistry) -> Result<(), Error> {
        self.drop_database(&registry.database).await?;
        self.remove(registry.folder)
    }

    /// Syncs the same gateway again: nothing has changed, so nothing may be sent.
    pub(crate) async fn second_sync(
        &self,
        gateway: &ProgramFolder,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let (run, summary) = self.programs.sync(gateway).await?;
        expect_nothing_sent(&summary)?;
        figures.push(name::AGAIN, run.took.as_secs_f64());
        figures.push(&name::peak(name::AGAIN), run.figures.peak_mib());
        Ok(())
    }

    /// Syncs the same gateway in full: it reads everything again.
    pub(crate) async fn full_sync(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let (run, summary) = self.programs.sync_full(gateway).await?;
        expect_nothing_sent(&summary)?;
        expect("unchanged records", count(&summary, "unchanged"), records)?;
        push_run(figures, name::FULL, records, run.took, &run);
        Ok(())
    }

    /// Sweeps all keys of an unchanged clinic.
    pub(crate) async fn sweep(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let (run, sources) = self.programs.sweep(gateway).await?;
        let feeds: Vec<&Value> = sources[0]["feeds"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        expect(
            "keys swept",
            feeds.iter().map(|feed| count(feed, "keys")).sum(),
            records,
        )?;
        for name in ["reread", "withdrawn"] {
            let found = feeds.iter().map(|feed| count(feed, name)).sum();
            expect(
                &format!("records {name} by a sweep of an unchanged clinic"),
                found,
                0,
            )?;
        }
        push_run(figures, name::SWEEP, records, run.took, &run);
        Ok(())
    }

    /// Sweeps the contents of an unchanged clinic. `of` names its figures.
    pub(crate) async fn sweep_contents(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        of: &str,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let (run, sources) = self.programs.sweep_contents(gateway).await?;
        let feeds = sources[0]["feeds"].as_array().into_iter().flatten();
        let read = feeds.map(|feed| count(feed, "keys")).sum();
        expect("records that a sweep read", read, records)?;
        push_run(figures, of, records, run.took, &run);
        Ok(())
    }

    /// Restarts the daemon on a state that is there, until its health page says ready.
    pub(crate) async fn restart(
        &self,
        gateway: &ProgramFolder,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.wait_for_idle_servers().await?;
        let ready = ready::start_until_ready(&self.programs, gateway, &*self.clock).await?;
        figures.push(name::RESTART, ready.took.as_secs_f64());
        figures.push(&name::peak(name::RESTART), ready.peak_mib);
        Ok(())
    }

    /// Drains an outbox that holds everything when the broker comes back.
    pub(crate) async fn drain(
        &self,
        gateway: &ProgramFolder,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rabbitmq.stop_app().await?;
        let filled = self.fill_outbox(gateway, records).await;
        // Whatever happened, the next measurement needs the broker.
        self.rabbitmq.start_app().await?;
        let mut daemon = filled?;
        let back = self.clock.now();
        let status = loop {
            daemon.check_running("clinic-gateway")?;
            let status = self.programs.status(gateway).await?;
            if count(&status["backlog"], "batches") == 0 {
                break status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        daemon.end().await?;
        let last = status["publisher"]["last_delivered_at"].as_str();
        let last: DateTime<Utc> = last.and_then(|moment| moment.parse().ok()).ok_or_else(|| {
            Error::WrongResult("the status does not tell of the last delivery".into())
        })?;
        figures.push(name::DRAIN, (last - back).as_seconds_f64());
        self.purge_queues().await;
        Ok(())
    }

    /// Starts a daemon and waits until its outbox holds every record.
    async fn fill_outbox(
        &self,
        gateway: &ProgramFolder,
        records: u64,
    ) -> Result<Background, Error> {
        let mut daemon = self.programs.start_gateway(gateway)?;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            daemon.check_running("clinic-gateway")?;
            // Before its first page there is no outbox to look into.
            let Ok(status) = self.programs.status(gateway).await else {
                continue;
            };
            if count(&status["backlog"], "events") == records {
                return Ok(daemon);
            }
        }
    }
}

/// Notes a program's rate, memory, processor time and written bytes.
fn push_run(figures: &mut Figures, of: &str, records: u64, took: Duration, run: &CompletedRun) {
    figures.push_rate(of, records, took);
    figures.push(&name::peak(of), run.figures.peak_mib());
    figures.push_each(
        &name::processor(of),
        records,
        run.figures.processor_seconds * 1e6,
    );
    figures.push_each(
        &name::written(of),
        records,
        run.figures.written_bytes as f64,
    );
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or(u64::MAX)
}

fn expect_all_sent(summary: &Value, records: u64) -> Result<(), Error> {
    expect("refused records", count(summary, "refused"), 0)?;
    expect("new records", count(summary, "new"), records)?;
    expect(
        "batches left in the outbox",
        count(summary, "batches_waiting"),
        0,
    )
}

fn expect_nothing_sent(summary: &Value) -> Result<(), Error> {
    for name in [
        "new",
        "corrected",
        "withdrawn",
        "resent",
        "refused",
        "batches_delivered",
    ] {
        expect(
            &format!("{name} of an unchanged clinic"),
            count(summary, name),
            0,
        )?;
    }
    Ok(())
}

fn expect(what: &str, found: u64, expected: u64) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::WrongResult(format!(
        "{what}: {found} instead of {expected}"
    )))
}
