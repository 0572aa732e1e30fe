//! The part `stages`: what each stage costs at least, and the programs beside it, in turn and as
//! often as asked.

use crate::clinics::mariadb::{self, MariaClinic};
use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::limits::{broker, compute, sqlite};
use crate::machine;
use crate::processes::config::ClinicServer;
use crate::processes::figures::server_seconds;
use crate::results::{PartResult, name};
use crate::session::{BenchSession, ONCE_ABOVE};

/// Measures every size.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    for records in &session.options.stage_records {
        size(session, *records, result).await?;
    }
    Ok(())
}

async fn size(
    session: &BenchSession<'_>,
    records: u64,
    result: &mut PartResult,
) -> Result<(), Error> {
    let mut clinic = session.clinic(records).await?;
    let mariadb = result.step(records, "filling MariaDB's clinic", async |_| {
        MariaClinic::fill(session.folder, records).await
    });
    let mut mariadb = mariadb.await;
    if let Some(clinic) = &mariadb {
        result
            .settings
            .push(("MariaDB".to_owned(), clinic.version().await?));
    }
    let batches = result.step(records, "making the sealed batches", async |figures| {
        session.seal_batches(&clinic, figures).await
    });
    let batches = batches.await;
    let repetitions = if records > ONCE_ABOVE {
        1
    } else {
        session.options.repetitions
    };
    for repetition in 1..=repetitions {
        session.probe_disk(Some(records), result)?;
        reading(session, &mut clinic, mariadb.as_mut(), result).await;
        if let Some(batches) = &batches {
            bare(session, records, batches, result).await;
            computing(session, records, result).await;
        }
        let label = format!("{records}-{repetition}");
        from_mariadb(session, mariadb.as_ref(), &label, records, result).await;
        programs(session, &clinic, &label, result).await;
    }
    Ok(())
}

/// Measures reading at best.
async fn reading(
    session: &BenchSession<'_>,
    clinic: &mut PostgresClinic,
    mariadb: Option<&mut MariaClinic>,
    result: &mut PartResult,
) {
    let records = clinic.records;
    result
        .step(records, "COPY out of the clinic", async |figures| {
            session.wait_for_idle_servers().await?;
            let started = session.clock.elapsed();
            clinic.copy_out().await?;
            figures.push_rate(name::COPY_OUT, records, session.since(started));
            Ok(())
        })
        .await;
    result
        .step(records, "the bare loop of pages", async |figures| {
            session.wait_for_idle_servers().await?;
            let before = session.postgres_seconds()?;
            let started = session.clock.elapsed();
            clinic.read_by_key().await?;
            figures.push_rate(name::KEYSET, records, session.since(started));
            let server = session.postgres_seconds()? - before;
            figures.push_each(name::KEYSET_SERVER, records, server * 1e6);
            Ok(())
        })
        .await;
    let Some(clinic) = mariadb else { return };
    result
        .step(
            records,
            "the bare loop of pages at MariaDB",
            async |figures| {
                session.wait_for_idle_servers().await?;
                let started = session.clock.elapsed();
                clinic.read_by_key().await?;
                figures.push_rate(name::MARIADB_KEYSET, records, session.since(started));
                Ok(())
            },
        )
        .await;
}

/// Measures the outbox's file and the broker at best.
async fn bare(
    session: &BenchSession<'_>,
    records: u64,
    batches: &[Vec<u8>],
    result: &mut PartResult,
) {
    result
        .step(records, "sealed batches into SQLite", async |figures| {
            session.wait_for_idle_servers().await?;
            let took = sqlite::insert_all(session.folder, batches, &*session.clock).await?;
            figures.push_rate(name::SQLITE, records, took);
            Ok(())
        })
        .await;
    result
        .step(
            records,
            "sealed batches through the broker",
            async |figures| {
                let broker = || server_seconds("RabbitMQ", session.rabbitmq.process_id());
                session.wait_for_idle_servers().await?;
                let took = broker::measure(
                    &session.rabbitmq.amqp_url(),
                    batches,
                    broker,
                    &*session.clock,
                )
                .await?;
                figures.push_rate(name::PUBLISH, records, took.publishing);
                figures.push_each(name::PUBLISH_SERVER, records, took.broker_seconds * 1e6);
                figures.push(name::PUBLISH_SECONDS, took.publishing.as_secs_f64());
                figures.push_rate(name::CONSUME, records, took.consuming);
                Ok(())
            },
        )
        .await;
}

/// Measures computing at best, and what the machine's processors can give for what no program is
/// spared.
async fn computing(session: &BenchSession<'_>, records: u64, result: &mut PartResult) {
    result
        .step(records, "computing alone", async |figures| {
            session.wait_for_idle_servers().await?;
            let took = compute::seal_all(records, &*session.clock)?;
            figures.push_rate(name::COMPUTE, records, took);
            let others =
                [name::KEYSET_SERVER, name::PUBLISH_SERVER].map(|name| figures.of(name).latest());
            let each_us = took.as_secs_f64() * 1e6 / records as f64 + others.iter().sum::<f64>();
            figures.push(name::BOUND, machine::processors() * 1e6 / each_us);
            Ok(())
        })
        .await;
}

/// Measures a gateway whose clinic is on MariaDB.
async fn from_mariadb(
    session: &BenchSession<'_>,
    clinic: Option<&MariaClinic>,
    label: &str,
    records: u64,
    result: &mut PartResult,
) {
    let Some(clinic) = clinic else { return };
    result
        .step(records, "the gateway, from MariaDB", async |figures| {
            let source = ClinicServer::mariadb(clinic.port(), mariadb::DATABASE);
            let name = format!("{label}-mariadb-gateway");
            let gateway = session.programs.gateway(
                &name,
                &source,
                session.queue(),
                session.options.batch_events,
            )?;
            session
                .first_sync(&gateway, records, name::MARIADB_GATEWAY, figures)
                .await?;
            session.remove(gateway)
        })
        .await;
    session.purge_queues().await;
}

/// Measures a gateway whose clinic is on PostgreSQL, the registry behind it, and the registry's
/// limit.
async fn programs(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    label: &str,
    result: &mut PartResult,
) {
    let records = clinic.records;
    let delivered = result
        .step(records, "the gateway, from PostgreSQL", async |figures| {
            let gateway = session.gateway(clinic, &format!("{label}-gateway"), session.queue())?;
            session
                .first_sync(&gateway, records, name::GATEWAY, figures)
                .await?;
            session.remove(gateway)
        })
        .await;
    if delivered.is_none() {
        return session.purge_queues().await;
    }
    let stored = result.step(records, "the registry", async |figures| {
        session.store(label, records, figures).await
    });
    let Some(registry) = stored.await else {
        return session.purge_queues().await;
    };
    result
        .step(records, "the registry's rows by COPY", async |figures| {
            session.copy_in(&registry.database, records, figures).await
        })
        .await;
    result
        .step(records, "dropping the registry", async |_| {
            session.drop_registry(registry).await
        })
        .await;
}
