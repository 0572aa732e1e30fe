//! The part `stages`: what each stage costs at least, and the programs beside it, in turn and as
//! often as asked.

use clock::Clock;

use super::clinic::Clinic;
use super::mariadb::{self, MariaClinic};
use super::programs::Source;
use super::results::{Figures, PartResult, name};
use super::steps::{microseconds_each, rate};
use super::{Bench, ONCE_ABOVE, compute_limit, machine, raw_broker, sqlite_limit};
use crate::error::Error;
use crate::processes::server_seconds;

/// Measures every size.
pub(super) async fn measure(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    for records in &bench.options.stage_records {
        size(bench, *records, result).await?;
    }
    Ok(())
}

async fn size(bench: &Bench<'_>, records: u64, result: &mut PartResult) -> Result<(), Error> {
    let mut clinic = bench.clinic(records).await?;
    let mariadb = result.step(records, "filling MariaDB's clinic", async |_| {
        MariaClinic::fill(bench.folder, records).await
    });
    let mut mariadb = mariadb.await;
    if let Some(clinic) = &mariadb {
        result
            .settings
            .push(("MariaDB".to_owned(), clinic.version().await?));
    }
    let batches = result.step(records, "making the sealed batches", async |figures| {
        bench.harvest(&clinic, figures).await
    });
    let batches = batches.await;
    let repetitions = if records > ONCE_ABOVE {
        1
    } else {
        bench.options.repetitions
    };
    for repetition in 1..=repetitions {
        bench.probe(Some(records), result)?;
        reading(bench, &mut clinic, mariadb.as_mut(), result).await;
        if let Some(batches) = &batches {
            bare(bench, records, batches, result).await;
            computing(bench, records, result).await;
        }
        let label = format!("{records}-{repetition}");
        from_mariadb(bench, mariadb.as_ref(), &label, records, result).await;
        programs(bench, &clinic, &label, result).await;
    }
    Ok(())
}

/// Reading at best.
async fn reading(
    bench: &Bench<'_>,
    clinic: &mut Clinic,
    mariadb: Option<&mut MariaClinic>,
    result: &mut PartResult,
) {
    let records = clinic.records;
    result
        .step(records, "COPY out of the clinic", async |figures| {
            bench.rest().await?;
            let started = bench.clock.elapsed();
            clinic.copy_out().await?;
            figures.push(
                name::COPY_OUT,
                rate(records, bench.clock.elapsed().saturating_sub(started)),
            );
            Ok(())
        })
        .await;
    result
        .step(records, "the bare loop of pages", async |figures| {
            bench.rest().await?;
            let before = server_seconds("PostgreSQL", bench.postgres.process_id())?;
            let started = bench.clock.elapsed();
            clinic.read_by_key().await?;
            figures.push(
                name::KEYSET,
                rate(records, bench.clock.elapsed().saturating_sub(started)),
            );
            let server = server_seconds("PostgreSQL", bench.postgres.process_id())? - before;
            figures.push(name::KEYSET_SERVER, microseconds_each(server, records));
            Ok(())
        })
        .await;
    let Some(clinic) = mariadb else { return };
    result
        .step(
            records,
            "the bare loop of pages at MariaDB",
            async |figures| {
                bench.rest().await?;
                let started = bench.clock.elapsed();
                clinic.read_by_key().await?;
                figures.push(
                    name::MARIADB_KEYSET,
                    rate(records, bench.clock.elapsed().saturating_sub(started)),
                );
                Ok(())
            },
        )
        .await;
}

/// The outbox's file and the broker at best.
async fn bare(bench: &Bench<'_>, records: u64, batches: &[Vec<u8>], result: &mut PartResult) {
    result
        .step(records, "sealed batches into SQLite", async |figures| {
            bench.rest().await?;
            let took = sqlite_limit::insert_all(bench.folder, batches, &bench.clock).await?;
            figures.push(name::SQLITE, rate(records, took));
            Ok(())
        })
        .await;
    result
        .step(
            records,
            "sealed batches through the broker",
            async |figures| {
                let broker = || server_seconds("RabbitMQ", bench.rabbitmq.process_id());
                bench.rest().await?;
                let took =
                    raw_broker::measure(&bench.rabbitmq.amqp_url(), batches, broker, &bench.clock)
                        .await?;
                figures.push(name::PUBLISH, rate(records, took.publishing));
                figures.push(
                    name::PUBLISH_SERVER,
                    microseconds_each(took.broker_seconds, records),
                );
                figures.push(name::PUBLISH_SECONDS, took.publishing.as_secs_f64());
                figures.push(name::CONSUME, rate(records, took.consuming));
                Ok(())
            },
        )
        .await;
}

/// Computing at best, and what the machine's processors can give for what no program is spared.
async fn computing(bench: &Bench<'_>, records: u64, result: &mut PartResult) {
    result
        .step(records, "computing alone", async |figures| {
            bench.rest().await?;
            let took = compute_limit::seal_all(records, &bench.clock)?;
            figures.push(name::COMPUTE, rate(records, took));
            let others =
                [name::KEYSET_SERVER, name::PUBLISH_SERVER].map(|name| figures.of(name).latest());
            let each_us =
                microseconds_each(took.as_secs_f64(), records) + others.iter().sum::<f64>();
            figures.push(name::BOUND, machine::processors() * 1e6 / each_us);
            Ok(())
        })
        .await;
}

/// A gateway whose clinic is on MariaDB.
async fn from_mariadb(
    bench: &Bench<'_>,
    clinic: Option<&MariaClinic>,
    label: &str,
    records: u64,
    result: &mut PartResult,
) {
    let Some(clinic) = clinic else { return };
    result
        .step(records, "the gateway, from MariaDB", async |figures| {
            let source = Source {
                port: clinic.port(),
                database: mariadb::DATABASE.to_owned(),
            };
            let name = format!("{label}-mariadb-gateway");
            let place = bench.programs.mariadb_gateway(
                &name,
                &source,
                bench.queue(),
                bench.options.batch_events,
            )?;
            bench
                .deliver(&place, records, name::MARIADB_GATEWAY, figures)
                .await?;
            bench.done(place)
        })
        .await;
    bench.purge().await;
}

/// A gateway whose clinic is on PostgreSQL, the registry behind it, and the registry's limit.
async fn programs(bench: &Bench<'_>, clinic: &Clinic, label: &str, result: &mut PartResult) {
    let records = clinic.records;
    let delivered = result
        .step(
            records,
            "the gateway, from PostgreSQL",
            async |figures: &mut Figures| {
                let place = bench.gateway(clinic, &format!("{label}-gateway"), bench.queue())?;
                bench
                    .deliver(&place, records, name::GATEWAY, figures)
                    .await?;
                bench.done(place)
            },
        )
        .await;
    if delivered.is_none() {
        return bench.purge().await;
    }
    let stored = result.step(records, "the registry", async |figures| {
        bench.store(label, records, figures).await
    });
    let Some(registry) = stored.await else {
        return bench.purge().await;
    };
    result
        .step(records, "the registry's rows by COPY", async |figures| {
            bench.copy_in(&registry.1, records, figures).await
        })
        .await;
    result
        .step(records, "dropping the registry", async |_| {
            bench.drop_registry(registry).await
        })
        .await;
}
