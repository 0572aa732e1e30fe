//! The part `fhir`: a first load and an unchanged run of a clinic whose system offers FHIR, beside
//! a bare loop that follows the same pages.

use crate::clinics::fhir::FhirClinic;
use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::results::samples::grouped;
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::BenchSession;

/// Measures a clinic of this part's size.
pub(crate) async fn measure(session: &BenchSession<'_>, result: &mut PartResult) {
    let records = session.options.fhir_records;
    let filled = result
        .step(records, "filling a FHIR server", async |_| {
            FhirClinic::fill(records).await
        })
        .await;
    let Some(clinic) = filled else { return };
    for repetition in 1..=session.options.repetitions {
        one(session, &clinic, repetition, result).await;
        session.purge_queues().await;
    }
    if let Some(figures) = result.sizes.get(&records).cloned() {
        note(&figures, clinic.records, result);
    }
}

/// Measures everything once.
async fn one(
    session: &BenchSession<'_>,
    clinic: &FhirClinic,
    repetition: u32,
    result: &mut PartResult,
) {
    let records = session.options.fhir_records;
    result
        .step(records, "FHIR, the bare loop", async |figures| {
            session.wait_for_idle_servers().await?;
            let started = session.clock.elapsed();
            let rows = clinic.follow().await?;
            figures.push_rate(name::PAGES, rows, session.since(started));
            Ok(())
        })
        .await;
    let gateway = result
        .step(records, "FHIR, the first load", async |figures| {
            let label = format!("fhir-{repetition}");
            let source = clinic.source();
            let gateway = session
                .programs
                .gateway_of(&label, &source, session.queue())?;
            session
                .first_sync(&gateway, clinic.records, name::FHIR_GATEWAY, figures)
                .await?;
            Ok(gateway)
        })
        .await;
    let Some(gateway) = gateway else { return };
    result
        .step(records, "FHIR, unchanged", async |figures| {
            session.wait_for_idle_servers().await?;
            let (run, summary) = session.programs.sync(&gateway).await?;
            if summary["new"].as_u64() != Some(0) {
                return Err(Error::WrongResult(
                    "an unchanged clinic has new records".into(),
                ));
            }
            figures.push(name::AGAIN, run.took.as_secs_f64());
            Ok(())
        })
        .await;
    if let Err(error) = session.remove(gateway) {
        result.fail("FHIR, removing its folder", &error);
    }
}

/// Ratio of the first load to the bare loop.
fn of_pages(figures: &Figures) -> Samples {
    let load = figures.of(name::FHIR_GATEWAY);
    load.over(&figures.of(name::PAGES))
}

fn note(figures: &Figures, records: u64, result: &mut PartResult) {
    let ratio = of_pages(figures).median();
    result.single.push(single::LOAD_OF_PAGES, ratio);
    let rows: [ColumnRow<Figures>; 6] = [
        (
            "bare loop over the pages, parsed and dropped, records/s",
            |of| of.of(name::PAGES).to_string(),
        ),
        (
            "**gateway: first load → broker-confirmed, records/s**",
            |of| of.of(name::FHIR_GATEWAY).to_string(),
        ),
        ("… / bare loop", |of| of_pages(of).to_string()),
        ("… peak memory, MiB", |of| {
            of.of(&name::peak(name::FHIR_GATEWAY)).to_string()
        }),
        ("… processor time, µs/record", |of| {
            of.of(&name::processor(name::FHIR_GATEWAY)).to_string()
        }),
        ("second `sync`, unchanged, s", |of| {
            of.of(name::AGAIN).to_string()
        }),
    ];
    let head = format!("{} records", grouped(&records.to_string()));
    result.table = columns(std::iter::once(head), &rows, &[figures]);
}
