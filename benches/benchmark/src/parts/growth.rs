//! The part `growth`: everything a gateway does in its life, from small clinics to large ones.

use crate::arguments::Part;
use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::processes::config::ProgramFolder;
use crate::results::{PartResult, name};
use crate::session::{BenchSession, ONCE_ABOVE};

/// Clinics above this many records are measured once.
const GROWTH_ONCE_ABOVE: u64 = 100_000;

/// Measures every size.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    for records in &session.options.records {
        let mut clinic = session.clinic(*records).await?;
        let repetitions = if *records > GROWTH_ONCE_ABOVE {
            1
        } else {
            session.options.repetitions
        };
        for repetition in 1..=repetitions {
            session.probe_disk(Some(*records), result)?;
            reading(session, &mut clinic, result).await;
            let gateway = lifecycle(
                session,
                &clinic,
                &format!("{records}-growth-{repetition}"),
                result,
            )
            .await;
            let idle = session.options.parts.contains(&Part::Idle)
                && session.idle_sizes().contains(records);
            match gateway {
                Some(gateway) if idle && repetition == repetitions => {
                    session.synced.borrow_mut().insert(*records, gateway);
                }
                Some(gateway) => session.remove(gateway)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Measures reading at best, for the ratio at this size.
async fn reading(session: &BenchSession<'_>, clinic: &mut PostgresClinic, result: &mut PartResult) {
    let records = clinic.records;
    result
        .step(records, "reading the clinic bare", async |figures| {
            session.wait_for_idle_servers().await?;
            let started = session.clock.elapsed();
            clinic.copy_out().await?;
            let copied = session.clock.elapsed();
            clinic.read_by_key().await?;
            let read = session.clock.elapsed();
            figures.push_rate(name::COPY_OUT, records, copied.saturating_sub(started));
            figures.push_rate(name::KEYSET, records, read.saturating_sub(copied));
            Ok(())
        })
        .await;
}

/// Measures everything a gateway does in its life. Returns the gateway, unless it could not even
/// begin.
async fn lifecycle(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    label: &str,
    result: &mut PartResult,
) -> Option<ProgramFolder> {
    let records = clinic.records;
    let begun = result.step(records, "the first sync", async |figures| {
        let gateway = session.gateway(clinic, &format!("{label}-gateway"), session.queue())?;
        session
            .first_sync(&gateway, records, name::GATEWAY, figures)
            .await?;
        session.measure_state(&gateway, records, figures).await?;
        Ok(gateway)
    });
    let Some(gateway) = begun.await else {
        session.purge_queues().await;
        return None;
    };
    if records <= session.options.registry_records {
        at_the_registry(session, &gateway, label, records, result).await;
    } else {
        session.purge_queues().await;
    }
    unchanged(session, &gateway, records, result).await;
    // What could not be read must not lie in the way of what comes next.
    session.purge_queues().await;
    if records <= ONCE_ABOVE {
        broker_away(session, clinic, label, result).await;
    }
    Some(gateway)
}

/// Measures what a gateway does while nothing has changed.
async fn unchanged(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    records: u64,
    result: &mut PartResult,
) {
    result
        .step(records, "sync again", async |figures| {
            session.second_sync(gateway, figures).await
        })
        .await;
    result
        .step(records, "sync --full", async |figures| {
            session.full_sync(gateway, records, figures).await
        })
        .await;
    result
        .step(records, "sweep", async |figures| {
            session.sweep(gateway, records, figures).await
        })
        .await;
    result
        .step(records, "restart", async |figures| {
            session.restart(gateway, figures).await
        })
        .await;
}

/// Measures a gateway that fills its outbox while the broker is away.
async fn broker_away(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    label: &str,
    result: &mut PartResult,
) {
    let records = clinic.records;
    result
        .step(records, "broker away and back", async |figures| {
            let name = format!("{label}-drain");
            let gateway = session.gateway(clinic, &name, session.queue())?;
            session.drain(&gateway, records, figures).await?;
            session.remove(gateway)
        })
        .await;
}

/// Stores the records at a registry, reconciles, and drops it.
async fn at_the_registry(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    label: &str,
    records: u64,
    result: &mut PartResult,
) {
    let stored = result.step(records, "the registry", async |figures| {
        session.store(label, records, figures).await
    });
    let Some(registry) = stored.await else {
        return session.purge_queues().await;
    };
    result
        .step(records, "reconcile", async |figures| {
            session
                .reconcile(gateway, &registry.folder, records, figures)
                .await
        })
        .await;
    result
        .step(records, "dropping the registry", async |_| {
            session.drop_registry(registry).await
        })
        .await;
}
