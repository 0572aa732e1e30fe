//! The part `fhir`: a first load and an unchanged run of a clinic whose system offers FHIR, beside
//! a bare loop that follows the same pages; the same on a server that somebody else made, where one
//! is given.

use crate::clinics::fhir::{FhirClinic, Searches};
use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::results::samples::grouped;
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::BenchSession;

/// Server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// The testbed's.
    Double,
    /// That at `--fhir-url`.
    Given,
}

impl Server {
    /// Name of one of its figures.
    fn figure(self, of: &str) -> String {
        match self {
            Self::Double => of.to_owned(),
            Self::Given => name::of_schema("server", of),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Double => "FHIR",
            Self::Given => "FHIR at --fhir-url",
        }
    }
}

/// Measures a clinic of this part's size, and the one at `--fhir-url`.
pub(crate) async fn measure(session: &BenchSession<'_>, result: &mut PartResult) {
    let options = session.options;
    let records = options.fhir_records;
    let filled = result
        .step(records, "filling a FHIR server", async |_| {
            FhirClinic::fill(records).await
        })
        .await;
    let mut measured = Vec::new();
    if let Some(clinic) = filled {
        of_server(session, Server::Double, &clinic, result).await;
        measured.push(column(Server::Double, &clinic, records, result));
    }
    if let Some(base_url) = &options.fhir_url {
        let records = options.fhir_url_records;
        let filled = result
            .step(records, "filling the server at --fhir-url", async |_| {
                FhirClinic::fill_server(base_url, records).await
            })
            .await;
        if let Some(clinic) = filled {
            of_server(session, Server::Given, &clinic, result).await;
            measured.push(column(Server::Given, &clinic, records, result));
        }
    }
    note(&measured, result);
}

async fn of_server(
    session: &BenchSession<'_>,
    server: Server,
    clinic: &FhirClinic,
    result: &mut PartResult,
) {
    for repetition in 1..=session.options.repetitions {
        one(session, server, clinic, repetition, result).await;
        session.purge_queues().await;
    }
}

/// Measures everything once.
async fn one(
    session: &BenchSession<'_>,
    server: Server,
    clinic: &FhirClinic,
    repetition: u32,
    result: &mut PartResult,
) {
    let records = match server {
        Server::Double => session.options.fhir_records,
        Server::Given => session.options.fhir_url_records,
    };
    let step = |what: &str| format!("{}, {what}", server.words());
    result
        .step(records, &step("the bare loop"), async |figures| {
            session.wait_for_idle_servers().await?;
            let started = session.clock.elapsed();
            let rows = clinic.follow(Searches::WithPatients).await?;
            figures.push_rate(&server.figure(name::PAGES), rows, session.since(started));
            if server == Server::Given {
                let started = session.clock.elapsed();
                let rows = clinic.follow(Searches::RecordsAlone).await?;
                let figure = server.figure(name::PAGES_ALONE);
                figures.push_rate(&figure, rows, session.since(started));
            }
            Ok(())
        })
        .await;
    let gateway = result
        .step(records, &step("the first load"), async |figures| {
            let label = format!("{}-{repetition}", server.figure("fhir"));
            let source = clinic.source();
            let gateway = session
                .programs
                .gateway_of(&label, &source, session.queue())?;
            let figure = server.figure(name::FHIR_GATEWAY);
            session
                .first_sync(&gateway, clinic.records, &figure, figures)
                .await?;
            Ok(gateway)
        })
        .await;
    let Some(gateway) = gateway else { return };
    result
        .step(records, &step("unchanged"), async |figures| {
            session.wait_for_idle_servers().await?;
            let (run, summary) = session.programs.sync(&gateway).await?;
            if summary["new"].as_u64() != Some(0) {
                return Err(Error::WrongResult(
                    "an unchanged clinic has new records".into(),
                ));
            }
            figures.push(&server.figure(name::AGAIN), run.took.as_secs_f64());
            Ok(())
        })
        .await;
    if let Err(error) = session.remove(gateway) {
        result.fail("FHIR, removing its folder", &error);
    }
}

/// A server's figures as a column of the table.
struct Column {
    server: Server,
    head: String,
    figures: Figures,
}

impl Column {
    fn of(&self, figure: &str) -> Samples {
        self.figures.of(&self.server.figure(figure))
    }

    /// Ratio of the first load to the bare loop.
    fn of_pages(&self) -> Samples {
        self.of(name::FHIR_GATEWAY).over(&self.of(name::PAGES))
    }

    /// Ratio of the first load to the bare loop that reads no patients.
    fn of_pages_alone(&self) -> Samples {
        self.of(name::FHIR_GATEWAY)
            .over(&self.of(name::PAGES_ALONE))
    }
}

fn column(server: Server, clinic: &FhirClinic, records: u64, result: &PartResult) -> Column {
    let count = grouped(&clinic.records.to_string());
    Column {
        server,
        head: match &clinic.software {
            None => format!("{count} records"),
            Some(software) => format!("{count} records, {software}"),
        },
        figures: result.sizes.get(&records).cloned().unwrap_or_default(),
    }
}

fn note(measured: &[Column], result: &mut PartResult) {
    for column in measured {
        let figure = match column.server {
            Server::Double => single::LOAD_OF_PAGES,
            Server::Given => single::LOAD_OF_SERVER_PAGES,
        };
        result.single.push(figure, column.of_pages().median());
    }
    let all: [ColumnRow<Column>; 8] = [
        (
            "bare loop over the pages, parsed and dropped, records/s",
            |of| of.of(name::PAGES).to_string(),
        ),
        ("… without the patients", |of| {
            of.of(name::PAGES_ALONE).to_string()
        }),
        (
            "**gateway: first load → broker-confirmed, records/s**",
            |of| of.of(name::FHIR_GATEWAY).to_string(),
        ),
        ("… / bare loop", |of| of.of_pages().to_string()),
        ("… / bare loop without the patients", |of| {
            of.of_pages_alone().to_string()
        }),
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
    let is_given = measured.iter().any(|of| of.server == Server::Given);
    let rows: Vec<ColumnRow<Column>> = all
        .into_iter()
        .filter(|(words, _)| is_given || !words.ends_with("without the patients"))
        .collect();
    let head = measured.iter().map(|of| of.head.clone());
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}
