//! The part `growth`: everything a gateway does in its life, from small clinics to large ones.

use clock::Clock as _;

use crate::arguments::Part;
use crate::clinics::postgres::Clinic;
use crate::error::Error;
use crate::parts::steps::rate;
use crate::processes::config::ProgramFolder;
use crate::results::{PartResult, name};
use crate::session::{ONCE_ABOVE, Session};

/// Clinics above this many records are measured once.
const GROWTH_ONCE_ABOVE: u64 = 100_000;

/// Measures every size.
pub(crate) async fn measure(session: &Session<'_>, result: &mut PartResult) -> Result<(), Error> {
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
            let place = lifecycle(
                session,
                &clinic,
                &format!("{records}-growth-{repetition}"),
                result,
            )
            .await;
            let idle = session.options.parts.contains(&Part::Idle)
                && session.idle_sizes().contains(records);
            match place {
                Some(place) if idle && repetition == repetitions => {
                    session.synced.borrow_mut().insert(*records, place);
                }
                Some(place) => session.remove(place)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Measures reading at best, for the ratio at this size.
async fn reading(session: &Session<'_>, clinic: &mut Clinic, result: &mut PartResult) {
    let records = clinic.records;
    result
        .step(records, "reading the clinic bare", async |figures| {
            session.wait_for_idle_servers().await?;
            let started = session.clock.elapsed();
            clinic.copy_out().await?;
            let copied = session.clock.elapsed();
            clinic.read_by_key().await?;
            let read = session.clock.elapsed();
            figures.push(
                name::COPY_OUT,
                rate(records, copied.saturating_sub(started)),
            );
            figures.push(name::KEYSET, rate(records, read.saturating_sub(copied)));
            Ok(())
        })
        .await;
}

/// Measures everything a gateway does in its life. Returns the gateway, unless it could not even
/// begin.
async fn lifecycle(
    session: &Session<'_>,
    clinic: &Clinic,
    label: &str,
    result: &mut PartResult,
) -> Option<ProgramFolder> {
    let records = clinic.records;
    let begun = result.step(records, "the first sync", async |figures| {
        let place = session.gateway(clinic, &format!("{label}-gateway"), session.queue())?;
        session
            .first_sync(&place, records, name::GATEWAY, figures)
            .await?;
        session.measure_state(&place, records, figures).await?;
        Ok(place)
    });
    let Some(place) = begun.await else {
        session.purge_queues().await;
        return None;
    };
    if records <= session.options.registry_records {
        at_the_registry(session, &place, label, records, result).await;
    } else {
        session.purge_queues().await;
    }
    result
        .step(records, "sync again", async |figures| {
            session.second_sync(&place, figures).await
        })
        .await;
    result
        .step(records, "sync --full", async |figures| {
            session.full_sync(&place, records, figures).await
        })
        .await;
    result
        .step(records, "sweep", async |figures| {
            session.sweep(&place, records, figures).await
        })
        .await;
    result
        .step(records, "restart", async |figures| {
            session.restart(&place, figures).await
        })
        .await;
    // What could not be read must not lie in the way of what comes next.
    session.purge_queues().await;
    if records <= ONCE_ABOVE {
        result
            .step(records, "broker away and back", async |figures| {
                let place = session.gateway(clinic, &format!("{label}-drain"), session.queue())?;
                session.drain(&place, records, figures).await?;
                session.remove(place)
            })
            .await;
    }
    Some(place)
}

/// Stores the records at a registry, reconciles, and drops it.
async fn at_the_registry(
    session: &Session<'_>,
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
