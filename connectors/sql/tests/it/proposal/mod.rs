//! What `init` proposes for schemas of several kinds, and that its queries give the right records.

mod broken;
mod concepts;
mod emr;
mod flat;
mod identifiers;
mod keys;
mod lines;
mod merges;
mod persons;
mod rows;
mod schemas;
mod soft_deletes;
mod systems;
mod ways;
mod wild;

use connector_kit::{
    ClinicFact, ClinicRecord, Connector, Dose, Feed, Field, Level, PageRequest, RecordStatus,
};
use connector_sql::{Changes, Proposal, ProposedFeed};
use secrecy::ExposeSecret;

use crate::clinic::{Clinic, date, now};

/// The proposal for a clinic's database.
async fn propose(clinic: &Clinic) -> Proposal {
    let proposal = clinic.database().propose().await.unwrap();
    for feed in &proposal.feeds {
        println!("{}", feed.section("source.mis.sql"));
        println!("{:?}\n", feed.values);
    }
    println!("{:?}", proposal.missing);
    proposal
}

/// The proposed feed of this kind, which the database takes.
fn feed(proposal: &Proposal, feed: Feed) -> &ProposedFeed {
    let found = proposal.feeds.iter().find(|found| found.feed == feed);
    let found = found.unwrap_or_else(|| panic!("no {feed}: {:?}", proposal.missing));
    assert_eq!(found.fault, None, "{}", found.query);
    assert_eq!(found.untried, None, "{}", found.query);
    found
}

/// Name of the system that was recognised.
fn system(proposal: &Proposal) -> &'static str {
    proposal.system.map_or("", |known| known.name)
}

/// Checks the section as it is written: it has no error.
async fn passes_check(clinic: &Clinic, proposed: &ProposedFeed) {
    let text = proposed.section("x").replace("[x.", "[");
    let connector = clinic
        .connector_with(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let report = connector.check(now()).await;
    assert!(report.worst() < Level::Error, "{report:?}\n{text}");
}

/// The records that a proposed query gives, in short form.
async fn records(clinic: &Clinic, proposed: &ProposedFeed) -> Vec<String> {
    let stamp = match clinic {
        Clinic::Postgres(..) => "TIMESTAMP '2021-07-01 00:00:00'",
        Clinic::MariaDb(..) => "CAST('2021-07-01' AS DATETIME)",
        Clinic::Sqlite(_) => "'2021-07-01 00:00:00'",
    };
    // What no stamp of its own orders is given one, so that a page can be read here.
    let query = match proposed.changes {
        Changes::OneStamp => proposed.query.clone(),
        _ => format!(
            "SELECT s.*, {stamp} AS changed_at FROM (\n{}\n) AS s",
            proposed.query
        ),
    };
    let section = ProposedFeed {
        feed: proposed.feed,
        query,
        changes: Changes::OneStamp,
        status_words: proposed.status_words.clone(),
        table: String::new(),
        also: vec![],
        unknown_status: vec![],
        notes: vec![],
        values: vec![],
        fault: None,
        untried: None,
    };
    let text = section.section("x").replace("[x.", "[");
    let connector = clinic
        .connector_with(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let request = PageRequest::first_records(proposed.feed, 100, now());
    let page = connector.page(request).await.unwrap();
    let mut short: Vec<String> = page.records.iter().map(short).collect();
    short.sort();
    short
}

fn short(record: &ClinicRecord) -> String {
    let persons: Vec<String> = record
        .person
        .identifiers
        .iter()
        .map(|one| format!("{:?}={}", one.kind, one.value.expose_secret()))
        .collect();
    let codes = |codings: &[connector_kit::Coding]| {
        codings
            .first()
            .map_or("-".to_owned(), |coding| coding.code.clone())
    };
    let fact = match &record.fact {
        ClinicFact::Vaccination {
            vaccine,
            dose_number,
            occurred_on,
            ..
        } => {
            let dose = match dose_number {
                Field::Value(Dose::Number(number)) => format!("Value({number})"),
                other => format!("{other:?}"),
            };
            format!("{} {dose} {}", codes(vaccine), date(occurred_on))
        }
        ClinicFact::Test {
            test,
            result,
            occurred_on,
        } => {
            format!("{} {} {}", codes(test), codes(result), date(occurred_on))
        }
        ClinicFact::Recovery {
            diagnosis,
            began_on,
            occurred_on,
        } => {
            format!(
                "{} {} {}",
                codes(diagnosis),
                date(began_on),
                date(occurred_on)
            )
        }
    };
    let status = match record.status {
        RecordStatus::Final => "",
        RecordStatus::Cancelled => "CANCELLED ",
        RecordStatus::NotAFact => "NO-FACT ",
        _ => "UNKNOWN ",
    };
    format!("{} {status}{} {fact}", record.record_id, persons.join("+"))
}
