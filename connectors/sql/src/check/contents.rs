//! Contents: what the newest rows become, as counts.

use std::collections::HashSet;

use connector_kit::{CheckReport, ClinicDate, ClinicFact, ClinicRecord, Feed, Field, RecordStatus};

use super::look::Look;
use super::words::of_newest;
use crate::layout::{Layout, RECORD_ID};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::table::Table;

/// Says how many of the newest rows will be refused, and why; no value is quoted.
pub(super) fn check(
    look: &Look<'_>,
    feed: &FeedSettings,
    layout: &Layout,
    rows: &Table,
    report: &mut CheckReport,
) {
    let reader = Reader::new(layout, feed, &look.source.settings);
    let name = feed.feed;
    let records: Vec<ClinicRecord> = rows.rows().map(|row| reader.record(row)).collect();
    report_repeated_ids(name, &records, report);
    let count =
        |fits: &dyn Fn(&ClinicRecord) -> bool| records.iter().filter(|record| fits(record)).count();
    let too_long = rows
        .rows()
        .filter(|row| row.cell(RECORD_ID).is_cut())
        .count();
    for (found, what, help) in [
        (
            too_long,
            "a record_id of 1024 bytes or more; such rows are refused",
            "select a shorter record_id, such as the table's primary key",
        ),
        (
            count(&|record| record.status == RecordStatus::Unknown),
            "a status that status_words does not list",
            "write each of them in status_words, an empty one (NULL) as \"\"; until then these records \
             are refused. Those that may be shown are named below",
        ),
        (
            count(&|record| record.person.identifiers.is_empty() && !record.person.unreadable)
                .saturating_sub(too_long),
            "no identifier of a person",
            "select more person_* columns, if the system has them",
        ),
        (
            count(&|record| record.person.unreadable),
            "an identifier that cannot be decoded",
            "set `encoding` to what the system writes, such as \"windows-1251\"",
        ),
        (
            count(&|record| matches!(occurred_on(record), Field::Invalid(_))),
            "an occurred_on that is no date",
            "select a date, or text such as 2021-07-01 or 01.07.2021",
        ),
    ] {
        if found > 0 {
            report.warn(
                format!(
                    "{name}: {} {what}",
                    of_newest(found, records.len(), ["has", "have"])
                ),
                help,
            );
        }
    }
}

fn report_repeated_ids(name: Feed, records: &[ClinicRecord], report: &mut CheckReport) {
    let ids: HashSet<&str> = records
        .iter()
        .map(|record| record.record_id.as_str())
        .collect();
    if ids.len() < records.len() {
        report.error(
            format!(
                "{name}: {} a record_id",
                of_newest(
                    records.len() - ids.len(),
                    records.len(),
                    ["repeats", "repeat"]
                )
            ),
            "select one row a record: a join to a table of documents or contacts may multiply \
             rows",
        );
    }
}

fn occurred_on(record: &ClinicRecord) -> &Field<ClinicDate> {
    match &record.fact {
        ClinicFact::Vaccination { occurred_on, .. }
        | ClinicFact::Test { occurred_on, .. }
        | ClinicFact::Recovery { occurred_on, .. } => occurred_on,
    }
}
