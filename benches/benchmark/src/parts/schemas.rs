//! The part `schemas`: first loads, unchanged runs and content sweeps of clinics whose tables are
//! joined, beside one pass over the same queries and beside a clinic of single tables.

use crate::clinics::postgres::PostgresClinic;
use crate::clinics::schemas::{SCHEMAS, Schema, SchemaClinic};
use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::processes::config::ProgramFolder;
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::BenchSession;

/// Measures every schema.
pub(crate) async fn measure(session: &BenchSession<'_>, result: &mut PartResult) {
    let records = session.options.schema_records;
    let single_table = session.clinic(records).await;
    let single_table = match single_table {
        Ok(clinic) => clinic,
        Err(error) => return result.fail("a clinic of single tables", &error),
    };
    for schema in &SCHEMAS {
        let filled = result
            .step(records, &format!("filling {}", schema.name), async |_| {
                SchemaClinic::fill(schema, &session.postgres, records).await
            })
            .await;
        let Some(clinic) = filled else { continue };
        for repetition in 1..=session.options.repetitions {
            one(session, &clinic, &single_table, repetition, result).await;
            session.purge_queues().await;
        }
    }
    if let Some(figures) = result.sizes.get(&records).cloned() {
        note(&figures, result);
    }
}

/// Measures everything of one schema once.
async fn one(
    session: &BenchSession<'_>,
    clinic: &SchemaClinic<'_>,
    single_table: &PostgresClinic,
    repetition: u32,
    result: &mut PartResult,
) {
    let records = session.options.schema_records;
    let name = clinic.schema.name;
    let of = |figure: &str| name::of_schema(name, figure);
    let what = |step: &str| format!("{name}, {step}");
    result
        .step(
            records,
            &what("one pass over its queries"),
            async |figures| {
                session.wait_for_idle_servers().await?;
                let started = session.clock.elapsed();
                let rows = clinic.stream().await?;
                figures.push_rate(&of(name::STREAM), rows, session.since(started));
                Ok(())
            },
        )
        .await;
    let gateway = result
        .step(records, &what("the first load"), async |figures| {
            let label = format!("{name}-{repetition}");
            let source = clinic.source();
            let gateway = session
                .programs
                .gateway_of(&label, &source, session.queue())?;
            let figure = of(name::GATEWAY);
            session
                .first_sync(&gateway, clinic.records, &figure, figures)
                .await?;
            Ok(gateway)
        })
        .await;
    let Some(gateway) = gateway else { return };
    result
        .step(records, &what("unchanged"), async |figures| {
            unchanged(session, clinic, &gateway, figures).await
        })
        .await;
    result
        .step(records, &what("a sweep of contents"), async |figures| {
            let figure = of(name::CONTENTS);
            session
                .sweep_contents(&gateway, clinic.records, &figure, figures)
                .await
        })
        .await;
    result
        .step(records, &what("single tables beside it"), async |figures| {
            let label = format!("{name}-{repetition}-beside");
            let beside = session.gateway(single_table, &label, session.queue())?;
            let figure = of(BESIDE);
            session
                .first_sync(&beside, single_table.records, &figure, figures)
                .await?;
            session.remove(beside)
        })
        .await;
    if let Err(error) = session.remove(gateway) {
        result.fail(&what("removing its folder"), &error);
    }
}

/// The gateway's first load of single tables, measured beside a schema, records a second.
const BESIDE: &str = "beside";

/// Counts the rows that the server reads for a run of an unchanged clinic. In the run before it the
/// overlap of the first load closes.
async fn unchanged(
    session: &BenchSession<'_>,
    clinic: &SchemaClinic<'_>,
    gateway: &ProgramFolder,
    figures: &mut Figures,
) -> Result<(), Error> {
    session.programs.sync(gateway).await?;
    let before = clinic.rows_read().await?;
    let (_, summary) = session.programs.sync(gateway).await?;
    let rows = clinic.rows_read().await?.saturating_sub(before);
    if summary["new"].as_u64() != Some(0) {
        return Err(Error::WrongResult(
            "an unchanged clinic has new records".into(),
        ));
    }
    let name = name::of_schema(clinic.schema.name, name::UNCHANGED_ROWS);
    figures.push(&name, rows as f64);
    Ok(())
}

/// A schema's figures as a column of the table.
struct Column<'a> {
    schema: &'a Schema,
    figures: &'a Figures,
}

impl Column<'_> {
    fn of(&self, figure: &str) -> Samples {
        self.figures.of(&name::of_schema(self.schema.name, figure))
    }

    /// Ratio of the first load to one pass over the queries.
    fn of_stream(&self) -> Samples {
        self.of(name::GATEWAY).over(&self.of(name::STREAM))
    }

    /// Ratio of the gateway's rate at single tables to that at this schema.
    fn beside(&self) -> Samples {
        self.of(BESIDE).over(&self.of(name::GATEWAY))
    }
}

fn note(figures: &Figures, result: &mut PartResult) {
    let measured: Vec<Column<'_>> = SCHEMAS
        .iter()
        .map(|schema| Column { schema, figures })
        .collect();
    let worst = |of: &dyn Fn(&Column<'_>) -> f64, pick: fn(f64, f64) -> f64| {
        measured.iter().map(of).fold(f64::NAN, pick)
    };
    let single = &mut result.single;
    single.push(
        single::LOAD_OF_STREAM,
        worst(&|of| of.of_stream().median(), f64::min),
    );
    single.push(
        single::LOAD_BESIDE,
        worst(&|of| of.beside().median(), f64::max),
    );
    let rows = worst(&|of| of.of(name::UNCHANGED_ROWS).greatest(), f64::max);
    single.push(single::UNCHANGED_ROWS, rows);
    let rows: [ColumnRow<Column<'_>>; 9] = [
        (
            "one pass over the queries, decoded and dropped, rows/s",
            |of| of.of(name::STREAM).to_string(),
        ),
        (
            "**gateway: first load → broker-confirmed, records/s**",
            |of| of.of(name::GATEWAY).to_string(),
        ),
        ("… / one pass", |of| of.of_stream().to_string()),
        ("… peak memory, MiB", |of| {
            of.of(&name::peak(name::GATEWAY)).to_string()
        }),
        ("gateway at single indexed tables, records/s", |of| {
            of.of(BESIDE).to_string()
        }),
        ("… / its rate at this schema", |of| {
            of.beside().to_string()
        }),
        ("rows that the server reads for an unchanged run", |of| {
            of.of(name::UNCHANGED_ROWS).to_string()
        }),
        ("content sweep, nothing changed, records/s", |of| {
            of.of(name::CONTENTS).to_string()
        }),
        ("… gateway's processor time, µs/record", |of| {
            of.of(&name::processor(name::CONTENTS)).to_string()
        }),
    ];
    let head = measured.iter().map(|of| of.schema.title.to_owned());
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}
