//! The part `suites`: a first load of one clinic in each pseudonym suite, with key services of the
//! machine beside it where the suite has them, and the bare evaluation of as many identifiers.

use crate::clinics::distinct::DistinctClinic;
use crate::error::Error;
use crate::limits::evaluation;
use crate::machine;
use crate::parts::pairs;
use crate::parts::table::{ColumnRow, columns};
use crate::processes::config::{ClinicServer, KeyServiceAddress};
use crate::processes::figures::own_seconds;
use crate::processes::key_service::{KeyService, KeyServiceUse};
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::BenchSession;

/// Way in which a clinic's persons become pseudonyms.
struct Way {
    /// Name of its figures.
    name: &'static str,
    /// Words for it in the table.
    title: &'static str,
    /// Suite in the gateway's configuration.
    suite: &'static str,
    /// Number of key services.
    services: usize,
}

/// The ways that are measured.
const WAYS: [Way; 4] = [
    Way {
        name: HMAC,
        title: "`hmac`",
        suite: "hmac",
        services: 0,
    },
    Way {
        name: "hmac-streebog",
        title: "`hmac-streebog`",
        suite: "hmac-streebog",
        services: 0,
    },
    Way {
        name: "voprf-1",
        title: "`voprf`, one key service",
        suite: "voprf",
        services: 1,
    },
    Way {
        name: "voprf-2",
        title: "`voprf`, two key services",
        suite: "voprf",
        services: 2,
    },
];

/// Name of the way that others are compared with.
const HMAC: &str = "hmac";
/// Records of each person in the second clinic.
const RECORDS_EACH: u64 = 3;

/// Measures every way.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    let persons = session.options.suite_records;
    session.programs.make_record_ring().await?;
    let mut clinics = [
        DistinctClinic::fill(&session.postgres, persons, 1).await?,
        DistinctClinic::fill(&session.postgres, persons, RECORDS_EACH).await?,
    ];
    let most = WAYS.iter().map(|way| way.services).max().unwrap_or(0);
    let mut services = Vec::with_capacity(most);
    for number in 1..=most {
        let name = format!("key-service-{number}");
        services.push(KeyService::start(&session.programs, &name, &*session.clock).await?);
    }
    for turn in pairs::turns(session.options.pairs) {
        for way in &WAYS {
            if turn.is_bare {
                bare(session, way, result).await;
                continue;
            }
            let services = &mut services[..way.services];
            for clinic in &mut clinics {
                load(session, way, clinic, services, turn.pair, result).await;
                session.purge_queues().await;
            }
        }
    }
    for service in services {
        session.remove(service.end().await?)?;
    }
    for clinic in &clinics {
        session.drop_database(&clinic.database).await?;
    }
    if let Some(figures) = result.sizes.get(&persons).cloned() {
        note(&figures, result);
    }
    Ok(())
}

/// Measures the bare calls for as many persons, where the suite has such.
async fn bare(session: &BenchSession<'_>, way: &Way, result: &mut PartResult) {
    if way.services == 0 {
        return;
    }
    let persons = session.options.suite_records;
    let what = format!("{}, the bare calls", way.name);
    result
        .step(persons, &what, async |figures| {
            session.wait_for_idle_servers().await?;
            let of = name::of_way(way.name, name::BARE);
            let before = own_seconds()?;
            let took = evaluation::evaluate_all(persons, way.services, &*session.clock)?;
            let seconds = own_seconds()? - before;
            figures.push_rate(&of, persons, took);
            figures.push_each(&name::processor(&of), persons, seconds * 1e6);
            Ok(())
        })
        .await;
}

/// Measures a first load, and what it costs the key services.
async fn load(
    session: &BenchSession<'_>,
    way: &Way,
    clinic: &DistinctClinic,
    services: &mut [KeyService],
    repetition: u32,
    result: &mut PartResult,
) {
    let persons = session.options.suite_records;
    let records = clinic.records;
    let is_repeated = records > persons;
    // What is remembered of a person matters only where remembering saves something.
    if is_repeated && way.services == 0 {
        return;
    }
    let figure = if is_repeated {
        name::REPEATED
    } else {
        name::GATEWAY
    };
    let of = name::of_way(way.name, figure);
    let what = format!("{}, a first load of {records} records", way.name);
    result
        .step(persons, &what, async |figures| {
            let label = format!("{of}-{repetition}");
            let source = ClinicServer::postgres(session.postgres.port(), &clinic.database);
            let batch_events = session.options.batch_events;
            let queue = session.queue();
            let gateway = session
                .programs
                .gateway(&label, &source, queue, batch_events)?;
            let addresses: Vec<KeyServiceAddress> = services
                .iter()
                .map(|service| service.address.clone())
                .collect();
            gateway.set_suite(way.suite, &addresses)?;
            let before = look(services).await?;
            session.first_sync(&gateway, records, &of, figures).await?;
            let after = look(services).await?;
            push_use(figures, &of, records, &before, &after)?;
            session.remove(gateway)
        })
        .await;
}

async fn look(services: &mut [KeyService]) -> Result<Vec<KeyServiceUse>, Error> {
    let mut looks = Vec::with_capacity(services.len());
    for service in services {
        looks.push(service.look().await?);
    }
    Ok(looks)
}

/// Notes what a load has cost the key services: elements of each service (they have to be asked
/// for the same ones), and the processor time of all together.
fn push_use(
    figures: &mut Figures,
    of: &str,
    records: u64,
    before: &[KeyServiceUse],
    after: &[KeyServiceUse],
) -> Result<(), Error> {
    let elements = |(before, after): (&KeyServiceUse, &KeyServiceUse)| {
        after.elements.checked_sub(before.elements)
    };
    let elements: Option<Vec<u64>> = before.iter().zip(after).map(elements).collect();
    let elements = elements.ok_or_else(|| {
        Error::WrongResult("a key service's day ended in the middle of a load".into())
    })?;
    let Some(first) = elements.first() else {
        return Ok(());
    };
    if elements.iter().any(|asked| asked != first) {
        return Err(Error::WrongResult(format!(
            "key services in turn evaluated {elements:?} elements instead of the same number"
        )));
    }
    figures.push_each(&name::elements(of), records, *first as f64);
    let seconds =
        |looks: &[KeyServiceUse]| -> f64 { looks.iter().map(|look| look.processor_seconds).sum() };
    let seconds = seconds(after) - seconds(before);
    figures.push_each(&name::services_processor(of), records, seconds * 1e6);
    Ok(())
}

/// A way's figures as a column of the table.
struct Column<'a> {
    way: &'a Way,
    figures: &'a Figures,
}

impl Column<'_> {
    fn of(&self, figure: &str) -> Samples {
        self.figures.of(&name::of_way(self.way.name, figure))
    }

    /// Ratio of the first load to the bare calls.
    fn of_bare(&self) -> Samples {
        self.of(name::GATEWAY).over(&self.of(name::BARE))
    }

    /// Processor time a record of a first load, of the gateway and all key services, in
    /// microseconds.
    fn processor_time(&self) -> Samples {
        let gateway = self.of(&name::processor(name::GATEWAY));
        if self.way.services == 0 {
            return gateway;
        }
        gateway.plus(&self.of(&name::services_processor(name::GATEWAY)))
    }

    /// Ratio of the bare calls' processor time to that of a first load: of the persons of a second
    /// of processor time.
    fn of_bare_by_processor_time(&self) -> Samples {
        let bare = self.of(&name::processor(name::BARE));
        bare.over(&self.processor_time())
    }

    /// Ratio of the first load to that of the suite `hmac`.
    fn of_hmac(&self) -> Samples {
        let hmac = self.figures.of(&name::of_way(HMAC, name::GATEWAY));
        self.of(name::GATEWAY).over(&hmac)
    }
}

fn note(figures: &Figures, result: &mut PartResult) {
    let measured: Vec<Column<'_>> = WAYS.iter().map(|way| Column { way, figures }).collect();
    let least = measured
        .iter()
        .map(|column| column.of_bare_by_processor_time().median())
        .fold(f64::NAN, f64::min);
    result.single.push(single::LOAD_OF_BARE, least);
    let rows: [ColumnRow<Column<'_>>; 16] = [
        ("pairs", |of| of.of(name::GATEWAY).len().to_string()),
        ("bare calls on all processors, persons/s", |of| {
            of.of(name::BARE).to_string()
        }),
        (
            "**gateway: first load → broker-confirmed, records/s**",
            |of| of.of(name::GATEWAY).to_string(),
        ),
        ("… for each processor, records/s", |of| {
            let each = 1.0 / machine::processors();
            of.of(name::GATEWAY).times(each).to_string()
        }),
        ("bare calls' processor time at both ends, µs/person", |of| {
            of.of(&name::processor(name::BARE)).to_string()
        }),
        (
            "**processor time of gateway and key services, µs/record**",
            |of| of.processor_time().to_string(),
        ),
        ("… **bare calls' / it**", |of| {
            of.of_bare_by_processor_time().to_string()
        }),
        ("… rate / bare calls' rate", |of| of.of_bare().to_string()),
        ("… / `hmac`", |of| of.of_hmac().to_string()),
        ("… peak memory, MiB", |of| {
            of.of(&name::peak(name::GATEWAY)).to_string()
        }),
        ("… gateway's processor time, µs/record", |of| {
            of.of(&name::processor(name::GATEWAY)).to_string()
        }),
        ("… key services' processor time, µs/record", |of| {
            let figure = name::services_processor(name::GATEWAY);
            of.of(&figure).to_string()
        }),
        ("… elements asked of each key service, a record", |of| {
            of.of(&name::elements(name::GATEWAY)).to_string()
        }),
        (
            "first load of three records for each person, records/s",
            |of| of.of(name::REPEATED).to_string(),
        ),
        ("… key services' processor time, µs/record", |of| {
            let figure = name::services_processor(name::REPEATED);
            of.of(&figure).to_string()
        }),
        ("… elements asked of each key service, a record", |of| {
            of.of(&name::elements(name::REPEATED)).to_string()
        }),
    ];
    let head = measured.iter().map(|of| of.way.title.to_owned());
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::arguments::Part;

    fn used(elements: u64, processor_seconds: f64) -> KeyServiceUse {
        KeyServiceUse {
            elements,
            processor_seconds,
        }
    }

    #[test]
    fn what_a_load_costs_is_counted_from_where_the_services_stood() {
        let mut figures = Figures::default();
        let before = [used(1000, 1.0), used(500, 2.0)];
        let after = [used(1512, 1.5), used(1012, 2.25)];
        push_use(&mut figures, "x", 256, &before, &after).unwrap();
        assert_eq!(figures.of(&name::elements("x")).median(), 2.0);
        let seconds = figures.of(&name::services_processor("x")).median();
        assert!((seconds - 0.75e6 / 256.0).abs() < 1e-6, "{seconds}");
        // The second was asked for less than the first.
        let skipped = [used(1512, 1.5), used(1011, 2.25)];
        let error = push_use(&mut figures, "x", 256, &before, &skipped).unwrap_err();
        assert!(error.to_string().contains("[512, 511]"), "{error}");
        let midnight = [used(12, 1.5), used(12, 2.25)];
        let error = push_use(&mut figures, "x", 256, &before, &midnight).unwrap_err();
        assert!(error.to_string().contains("day ended"), "{error}");
    }

    #[test]
    fn the_worst_of_both_numbers_of_services_is_judged() {
        let mut figures = Figures::default();
        for (way, bare, gateway) in [("voprf-1", 90.0, 60.0), ("voprf-2", 150.0, 160.0)] {
            let of = |figure: &str| name::of_way(way, figure);
            figures.push(&of(name::BARE), 1e6 / bare);
            figures.push(&of(&name::processor(name::BARE)), bare);
            figures.push(&of(name::GATEWAY), 5000.0);
            figures.push(&of(&name::processor(name::GATEWAY)), gateway);
            figures.push(&of(&name::services_processor(name::GATEWAY)), 40.0);
        }
        figures.push(&name::of_way(HMAC, name::GATEWAY), 20_000.0);
        let began_at = DateTime::from_timestamp(1, 0).unwrap();
        let mut result = PartResult::new(Part::Suites, began_at, Vec::new());
        note(&figures, &mut result);
        assert_eq!(result.single.of(single::LOAD_OF_BARE).median(), 0.75);
        let row = |begins: &str| {
            let mut rows = result.table.rows.iter();
            rows.find(|row| row[0] == begins).unwrap()[1..].to_vec()
        };
        assert_eq!(row("… **bare calls' / it**"), ["–", "–", "0.900", "0.750"]);
        assert_eq!(row("… / `hmac`"), ["1.00", "–", "0.250", "0.250"]);
    }

    #[test]
    fn a_second_of_processor_time_counts_wherever_it_was_spent() {
        let mut figures = Figures::default();
        let of = |way, figure| name::of_way(way, figure);
        let gateway = name::processor(name::GATEWAY);
        figures.push(&of(HMAC, &gateway), 20.0);
        figures.push(&of("voprf-1", &gateway), 100.0);
        let services = name::services_processor(name::GATEWAY);
        figures.push(&of("voprf-1", &services), 150.0);
        let time = |way| {
            let column = Column {
                way,
                figures: &figures,
            };
            column.processor_time().median()
        };
        assert_eq!(time(&WAYS[0]), 20.0);
        assert_eq!(time(&WAYS[2]), 250.0);
    }
}
