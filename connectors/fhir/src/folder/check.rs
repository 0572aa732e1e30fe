//! `check`: says what the folder holds, and everything that can be wrong with it.

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed, SourceError};

use super::content;
use super::index::Index;
use super::line_place::LinePlace;
use super::reader::FolderReader;
use super::records::{MappedLine, RecordReader};
use crate::check::systems::LackingSystems;
use crate::check::{codes, persons};
use crate::fact::resource_type;
use crate::readable::readable;

/// Help where the folder cannot be read for now.
pub(super) const AWAY_HELP: &str = "try again; see the folder, and what writes into it";
/// Records looked at for each feed.
const SAMPLE: usize = 100;
/// Most types whose numbers are told.
const MAX_TYPES: usize = 12;

/// Looks at the folder.
pub(super) fn run(reader: &mut FolderReader, now: DateTime<Utc>) -> CheckReport {
    let mut report = CheckReport::default();
    let index = match reader.index(now) {
        Ok(index) => index,
        Err(error) => {
            add_error(&mut report, "", &error);
            return report;
        }
    };
    let mut check = FolderCheck {
        reader,
        records: reader.reader(&index, now),
        index: &index,
        systems: LackingSystems::default(),
        report,
    };
    check.files();
    for feed in reader.settings().feeds.clone() {
        if let Err(error) = check.feed(feed) {
            add_error(&mut check.report, &format!("{feed}: "), &error);
        }
    }
    let known = &reader.settings().identifier_systems;
    persons::unknown_systems(&check.systems, known, &mut check.report);
    check.report
}

struct FolderCheck<'a> {
    reader: &'a FolderReader,
    records: RecordReader<'a>,
    index: &'a Index,
    /// Identifier systems of the patients seen that lack something.
    systems: LackingSystems,
    report: CheckReport,
}

impl FolderCheck<'_> {
    /// Says what the files hold.
    fn files(&mut self) {
        let tally = &self.index.tally;
        let mut types: Vec<_> = tally.types.iter().collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let rest = types.len().saturating_sub(MAX_TYPES);
        let mut told: Vec<String> = types
            .into_iter()
            .take(MAX_TYPES)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if rest > 0 {
            told.push(format!("and {rest} other types"));
        }
        let files = self.index.files.len();
        self.report
            .good(format!("{files} files of an export: {}", told.join(", ")));
        if tally.older_versions > 0 {
            self.report.good(format!(
                "{} resources are there more than once; the newest of each counts",
                tally.older_versions
            ));
        }
        if tally.deleted > 0 {
            self.report.good(format!(
                "{} resources are left out: they were deleted after their newest version here",
                tally.deleted
            ));
        }
        if tally.unnamed_deletions > 0 {
            self.report.warn(
                format!(
                    "{} deletions name no resource by its type and id below base_url, and are not \
                     read",
                    tally.unnamed_deletions
                ),
                "write the address of the server that made the export into base_url; or put whole \
                 exports into the folder, in which what was deleted is missing",
            );
        }
        if tally.other_bundles > 0 {
            self.report.warn(
                format!(
                    "{} Bundles are no lists of what was deleted, or not only; nothing else in \
                     them is read",
                    tally.other_bundles
                ),
                "have the export written with one resource a line",
            );
        }
        let patients = tally.unreadable("Patient");
        if patients > 0 {
            self.report.warn(
                format!("{patients} lines of the files of Patient cannot be read"),
                "records of these patients will be refused as person-hidden; have the files \
                 exported again",
            );
        }
        if let Some(address) = &tally.address {
            self.report.warn(
                format!(
                    "{} records name their Patient by a whole address, the first below {}, and \
                     will be refused",
                    tally.whole_addresses,
                    readable(address)
                ),
                "write the address of the server that made the export into base_url",
            );
        }
    }

    /// Looks at a feed's records.
    fn feed(&mut self, feed: Feed) -> Result<(), SourceError> {
        self.reader.verify_there(self.index, feed)?;
        let kind = resource_type(feed);
        let settings = self.reader.settings();
        let found = self.index.table(feed).len();
        let unreadable = self.index.tally.unreadable(kind);
        if unreadable > 0 {
            self.report.warn(
                format!("{feed}: {unreadable} lines of the files of {kind} cannot be read"),
                "have the files exported again; until then these lines are refused, and no sweep \
                 comes to its end",
            );
        }
        let all = self.index.tally.of(kind);
        if found == 0 {
            self.no_matches(feed, all)?;
            return Ok(());
        }
        let asked = settings.codes(feed);
        let of = if asked.is_empty() {
            String::new()
        } else {
            format!(" of {all} {kind} resources, by {}", codes::setting(feed))
        };
        self.report.good(format!("{feed}: {found} records{of}"));
        let first = self.index.table(feed).behind(None);
        let readable = first.filter(|entry| entry.is_readable).take(SAMPLE);
        let places: Vec<LinePlace> = readable.map(|entry| entry.place).collect();
        self.first_records(feed, &places)
    }

    /// Warns of a feed whose codes no resource has, with those that there are.
    fn no_matches(&mut self, feed: Feed, all: u64) -> Result<(), SourceError> {
        let settings = self.reader.settings();
        let kind = resource_type(feed);
        let mut others = Vec::new();
        content::read(self.index, self.index.tally.others(feed), |_, text| {
            others.push(text.to_owned());
            Ok(())
        })?;
        let there = codes::distinct(feed, settings.rules, others.iter().map(String::as_str));
        self.report.warn(
            format!(
                "{feed}: 0 of {all} {kind} resources match {}",
                settings.codes(feed)
            ),
            format!(
                "among the first {} there are these codes: {}. Name those that are meant in {} as \
                 \"SYSTEM|CODE\"",
                others.len(),
                there.join(", "),
                codes::setting(feed)
            ),
        );
        Ok(())
    }

    fn first_records(&mut self, feed: Feed, places: &[LinePlace]) -> Result<(), SourceError> {
        let lines: Vec<MappedLine> = self.records.mapped(feed, places)?;
        let known = &self.reader.settings().identifier_systems;
        let systems = &mut self.systems;
        let patients = self
            .records
            .patients(&lines, |entry| systems.see(known, entry))?;
        let resources = lines.iter().map(|line| line.resource.json.get());
        persons::bare_numbers(feed, resources, &mut self.report);
        let unstamped = lines
            .iter()
            .filter(|line| line.resource.stamp.is_none())
            .count();
        if unstamped > 0 {
            self.report.warn(
                format!(
                    "{feed}: {unstamped} of the first {} records come without meta.lastUpdated",
                    lines.len()
                ),
                "nothing is lost by it, but every sweep reads these records again; of several \
                 versions of one the last file counts",
            );
        }
        let persons: Vec<_> = lines
            .iter()
            .map(|line| patients.person(&line.mapped.subject, &line.mapped.contained))
            .collect();
        persons::identities(feed, &persons, &self.systems, known, &mut self.report);
        Ok(())
    }
}

/// Adds a failure, behind what it is about.
fn add_error(report: &mut CheckReport, about: &str, error: &SourceError) {
    match error {
        SourceError::Retry { what, .. } => report.error(format!("{about}{what}"), AWAY_HELP),
        SourceError::Misconfigured { what, help } => report.error(format!("{about}{what}"), help),
    }
}
