//! The single measurements that stages and growth are made of: one program doing one thing,
//! checked, and its figures noted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use serde_json::Value;

use super::child::{self, Run};
use super::clinic::Clinic;
use super::programs::{Place, Queue, Source};
use super::results::{Figures, name};
use super::{Bench, copy_limit, restart};
use crate::error::Error;
use crate::processes::server_written_bytes;
use crate::rest;

/// When the registry's last fact was committed, in microseconds since 1970.
const LAST_COMMIT: &str =
    "SELECT (extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000)::bigint FROM fact";
/// The queues of the gateway's default configuration: facts, and dead letters.
const QUEUES: [&str; 2] = ["clinic.facts", "clinic.facts.dead"];
/// Interval between two looks at a running gateway's status.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Bench<'_> {
    /// A gateway of this clinic with an empty outbox.
    pub(super) fn gateway(
        &self,
        clinic: &Clinic,
        name: &str,
        queue: Queue,
    ) -> Result<Place, Error> {
        let source = Source {
            port: self.postgres.port(),
            database: clinic.database.clone(),
        };
        self.programs
            .gateway(name, &source, queue, self.options.batch_events)
    }

    /// The broker as a queue of both programs.
    pub(super) fn queue(&self) -> Queue {
        Queue::RabbitMq(self.rabbitmq.port())
    }

    /// The clinic's sealed batches, as a gateway puts them into a directory.
    pub(super) async fn harvest(
        &self,
        clinic: &Clinic,
        figures: &mut Figures,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let place = self.gateway(
            clinic,
            &format!("{}-harvest", clinic.records),
            Queue::Directory,
        )?;
        let (_, summary) = self.programs.sync(&place, false, &self.clock).await?;
        expect_all_sent(&summary, clinic.records)?;
        let read = || -> std::io::Result<Vec<Vec<u8>>> {
            let entries = std::fs::read_dir(place.folder().join("queue/incoming"))?;
            entries.map(|entry| std::fs::read(entry?.path())).collect()
        };
        let batches = read().map_err(Error::io("read the queue directory"))?;
        self.done(place)?;
        let bytes: usize = batches.iter().map(Vec::len).sum();
        figures.push(name::BATCHES, batches.len() as f64);
        figures.push(name::SEALED_BYTES, bytes as f64 / clinic.records as f64);
        Ok(batches)
    }

    /// Until PostgreSQL and the broker have done what the measurement before left them.
    pub(super) async fn rest(&self) -> Result<(), Error> {
        rest::until_at_rest(&self.postgres, &self.rabbitmq, &self.clock).await
    }

    /// A gateway with an empty outbox: from the source to broker-confirmed. `of` names its figures.
    pub(super) async fn deliver(
        &self,
        place: &Place,
        records: u64,
        of: &str,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let broker = || {
            self.rabbitmq
                .process_id()
                .map(server_written_bytes)
                .unwrap_or_default()
        };
        let before = broker();
        let (run, summary) = self.programs.sync(place, false, &self.clock).await?;
        expect_all_sent(&summary, records)?;
        push_run(figures, of, records, run.took, &run);
        if of == name::GATEWAY {
            // What it still writes then is the measurement's too.
            self.rest().await?;
            figures.push(
                name::BROKER_WRITTEN,
                broker().saturating_sub(before) as f64 / records as f64,
            );
        }
        Ok(())
    }

    /// Bytes that the gateway keeps on its disk, without the sealed batches that wait for receipts.
    pub(super) async fn weigh(
        &self,
        place: &Place,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        let status = self.programs.status(place, &self.clock).await?;
        let sealed = count(&status["status"]["backlog"], "bytes");
        let state = place.state_bytes()?.checked_sub(sealed);
        let state = state.ok_or_else(|| {
            Error::WrongResult("an outbox is smaller than what lies in it".into())
        })?;
        figures.push(name::STATE_BYTES, state as f64 / records as f64);
        Ok(())
    }

    /// A registry with an empty database: from the queue to committed; nothing may be missing.
    /// Where it is, and its database.
    pub(super) async fn store(
        &self,
        label: &str,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(Place, String), Error> {
        let database = format!("registry-{label}");
        let url = self.postgres.create_database(&database).await?;
        let place = self.programs.registry(&database, &url, self.queue())?;
        self.postgres.psql("postgres", "CHECKPOINT").await?;
        self.rest().await?;
        let before = copy_limit::written(&self.postgres);
        let run = self.programs.drain(&place, &self.clock).await?;
        self.postgres.psql("postgres", "CHECKPOINT").await?;
        let written = copy_limit::written(&self.postgres).saturating_sub(before);
        expect(
            "facts at the registry",
            self.programs.facts(&place, &self.clock).await?,
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
        let took = (self.last_commit(&database).await? - run.started_at)
            .to_std()
            .unwrap_or_default();
        push_run(figures, name::REGISTRY, records, took, &run);
        figures.push(name::REGISTRY_WRITTEN, written as f64 / records as f64);
        Ok((place, database))
    }

    /// The registry's rows by `COPY`.
    pub(super) async fn copy_in(
        &self,
        database: &str,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let copied =
            copy_limit::measure(&self.postgres, database, self.folder, &self.clock).await?;
        figures.push(name::COPY_IN, rate(records, copied.took));
        figures.push(
            name::COPY_IN_WRITTEN,
            copied.written_bytes as f64 / records as f64,
        );
        Ok(())
    }

    /// The gateway asks a registry that holds everything whether it does.
    pub(super) async fn compare(
        &self,
        (gateway, registry): (&Place, &Place),
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let mut consumer = self.programs.consumer(registry)?;
        let (run, answer) = self.programs.reconcile(gateway, &self.clock).await?;
        consumer.still_runs("city-registry")?;
        consumer.end().await?;
        expect(
            "records that are equal at the registry",
            count(&answer["report"], "equal"),
            records,
        )?;
        push_run(figures, name::RECONCILE, records, run.took, &run);
        Ok(())
    }

    /// A finished registry's place and database.
    pub(super) async fn drop_registry(
        &self,
        (place, database): (Place, String),
    ) -> Result<(), Error> {
        self.postgres
            .psql(
                "postgres",
                &format!("DROP DATABASE \"{database}\" WITH (FORCE)"),
            )
            .await?;
        self.done(place)
    }

    /// The same gateway again: nothing has changed, so nothing may be sent.
    pub(super) async fn again(&self, gateway: &Place, figures: &mut Figures) -> Result<(), Error> {
        self.rest().await?;
        let (run, summary) = self.programs.sync(gateway, false, &self.clock).await?;
        expect_nothing_sent(&summary)?;
        figures.push(name::AGAIN, run.took.as_secs_f64());
        figures.push(&name::peak(name::AGAIN), run.peak_mib());
        Ok(())
    }

    /// The same gateway reads everything again.
    pub(super) async fn full(
        &self,
        gateway: &Place,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let (run, summary) = self.programs.sync(gateway, true, &self.clock).await?;
        expect_nothing_sent(&summary)?;
        expect("unchanged records", count(&summary, "unchanged"), records)?;
        push_run(figures, name::FULL, records, run.took, &run);
        Ok(())
    }

    /// All keys of an unchanged clinic.
    pub(super) async fn sweep(
        &self,
        gateway: &Place,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let (run, sources) = self.programs.sweep(gateway, &self.clock).await?;
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

    /// The daemon begins on a state that is there, until its health page says ready.
    pub(super) async fn restart(
        &self,
        gateway: &Place,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rest().await?;
        let ready = restart::until_ready(&self.programs, gateway, &self.clock).await?;
        figures.push(name::RESTART, ready.took.as_secs_f64());
        figures.push(
            &name::peak(name::RESTART),
            ready.peak_bytes as f64 / f64::from(1 << 20),
        );
        Ok(())
    }

    /// Everything lies in the outbox when the broker comes back.
    pub(super) async fn drain(
        &self,
        place: &Place,
        records: u64,
        figures: &mut Figures,
    ) -> Result<(), Error> {
        self.rabbitmq.stop_app().await?;
        let filled = self.fill_outbox(place, records).await;
        // Whatever happened, the next measurement needs the broker.
        self.rabbitmq.start_app().await?;
        let mut daemon = filled?;
        let back = self.clock.now();
        let status = loop {
            daemon.still_runs("clinic-gateway")?;
            let status = self.programs.status(place, &self.clock).await?;
            if count(&status["status"]["backlog"], "batches") == 0 {
                break status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        daemon.end().await?;
        let last = status["status"]["publisher"]["last_delivered_at"].as_str();
        let last: DateTime<Utc> = last.and_then(|moment| moment.parse().ok()).ok_or_else(|| {
            Error::WrongResult("the status does not tell of the last delivery".into())
        })?;
        figures.push(name::DRAIN, (last - back).as_seconds_f64());
        self.purge().await;
        Ok(())
    }

    async fn fill_outbox(&self, place: &Place, records: u64) -> Result<child::Background, Error> {
        let mut daemon = self.programs.daemon(place)?;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            daemon.still_runs("clinic-gateway")?;
            // Before its first page there is no outbox to look into.
            let Ok(status) = self.programs.status(place, &self.clock).await else {
                continue;
            };
            if count(&status["status"]["backlog"], "events") == records {
                return Ok(daemon);
            }
        }
    }

    /// Empties the queues. Before the first batch there are none: that is as good.
    pub(super) async fn purge(&self) {
        for queue in QUEUES {
            let _none_yet = self.rabbitmq.ctl(&["purge_queue", queue]).await;
        }
    }

    /// Removes what a finished run left, unless it is to be kept.
    pub(super) fn done(&self, place: Place) -> Result<(), Error> {
        if self.options.keep {
            Ok(())
        } else {
            place.remove()
        }
    }

    async fn last_commit(&self, database: &str) -> Result<DateTime<Utc>, Error> {
        let answer = self.postgres.psql(database, LAST_COMMIT).await?;
        let moment = answer
            .parse()
            .ok()
            .and_then(DateTime::from_timestamp_micros);
        moment.ok_or_else(|| {
            Error::WrongResult("PostgreSQL does not tell when a fact was committed".into())
        })
    }
}

/// Records a second.
pub(super) fn rate(records: u64, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64()
}

/// Microseconds a record.
pub(super) fn microseconds_each(seconds: f64, records: u64) -> f64 {
    seconds * 1e6 / records as f64
}

/// A program's rate, memory, processor time and written bytes.
fn push_run(figures: &mut Figures, of: &str, records: u64, took: Duration, run: &Run) {
    figures.push(of, rate(records, took));
    figures.push(&name::peak(of), run.peak_mib());
    figures.push(
        &name::processor(of),
        microseconds_each(run.processor_seconds, records),
    );
    figures.push(
        &name::written(of),
        run.written_bytes as f64 / records as f64,
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
