//! The part `growth`: everything a gateway does in its life, from small clinics to large ones.

use clock::Clock;

use super::clinic::Clinic;
use super::programs::Place;
use super::results::{PartResult, name};
use super::steps::rate;
use super::{Bench, ONCE_ABOVE};
use crate::arguments::Part;
use crate::error::Error;

/// Larger clinics are measured once.
const GROWTH_ONCE_ABOVE: u64 = 100_000;

/// Measures every size.
pub(super) async fn measure(bench: &Bench<'_>, result: &mut PartResult) -> Result<(), Error> {
    for records in &bench.options.records {
        let mut clinic = bench.clinic(*records).await?;
        let repetitions = if *records > GROWTH_ONCE_ABOVE {
            1
        } else {
            bench.options.repetitions
        };
        for repetition in 1..=repetitions {
            bench.probe(Some(*records), result)?;
            reading(bench, &mut clinic, result).await;
            let place = life(
                bench,
                &clinic,
                &format!("{records}-growth-{repetition}"),
                result,
            )
            .await;
            let idle =
                bench.options.parts.contains(&Part::Idle) && bench.idle_sizes().contains(records);
            match place {
                Some(place) if idle && repetition == repetitions => {
                    bench.keep_synced(*records, place)
                }
                Some(place) => bench.done(place)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Reading at best, for the ratio at this size.
async fn reading(bench: &Bench<'_>, clinic: &mut Clinic, result: &mut PartResult) {
    let records = clinic.records;
    result
        .step(records, "reading the clinic bare", async |figures| {
            bench.rest().await?;
            let started = bench.clock.elapsed();
            clinic.copy_out().await?;
            let copied = bench.clock.elapsed();
            clinic.read_by_key().await?;
            let read = bench.clock.elapsed();
            figures.push(
                name::COPY_OUT,
                rate(records, copied.saturating_sub(started)),
            );
            figures.push(name::KEYSET, rate(records, read.saturating_sub(copied)));
            Ok(())
        })
        .await;
}

/// Measures the life of a gateway; returns its place, unless it could not even begin.
async fn life(
    bench: &Bench<'_>,
    clinic: &Clinic,
    label: &str,
    result: &mut PartResult,
) -> Option<Place> {
    let records = clinic.records;
    let begun = result.step(records, "the first sync", async |figures| {
        let place = bench.gateway(clinic, &format!("{label}-gateway"), bench.queue())?;
        bench
            .deliver(&place, records, name::GATEWAY, figures)
            .await?;
        bench.weigh(&place, records, figures).await?;
        Ok(place)
    });
    let Some(place) = begun.await else {
        bench.purge().await;
        return None;
    };
    if records <= bench.options.registry_records {
        at_the_registry(bench, &place, label, records, result).await;
    } else {
        bench.purge().await;
    }
    result
        .step(records, "sync again", async |figures| {
            bench.again(&place, figures).await
        })
        .await;
    result
        .step(records, "sync --full", async |figures| {
            bench.full(&place, records, figures).await
        })
        .await;
    result
        .step(records, "sweep", async |figures| {
            bench.sweep(&place, records, figures).await
        })
        .await;
    result
        .step(records, "restart", async |figures| {
            bench.restart(&place, figures).await
        })
        .await;
    // What could not be read must not lie in the way of what comes next.
    bench.purge().await;
    if records <= ONCE_ABOVE {
        result
            .step(records, "broker away and back", async |figures| {
                let place = bench.gateway(clinic, &format!("{label}-drain"), bench.queue())?;
                bench.drain(&place, records, figures).await?;
                bench.done(place)
            })
            .await;
    }
    Some(place)
}

/// Stored, reconciled, and dropped.
async fn at_the_registry(
    bench: &Bench<'_>,
    gateway: &Place,
    label: &str,
    records: u64,
    result: &mut PartResult,
) {
    let stored = result.step(records, "the registry", async |figures| {
        bench.store(label, records, figures).await
    });
    let Some(registry) = stored.await else {
        return bench.purge().await;
    };
    let both = (gateway, &registry.0);
    result
        .step(records, "reconcile", async |figures| {
            bench.compare(both, records, figures).await
        })
        .await;
    result
        .step(records, "dropping the registry", async |_| {
            bench.drop_registry(registry).await
        })
        .await;
}
