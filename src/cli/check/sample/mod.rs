//! Check of what a source's records would become: a sample of each feed goes through the source's
//! policy and pseudonyms exactly like a pull, in memory; nothing of it is stored or sent.

mod instants;
mod tally;
mod values;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed, Finding, Level, SampledRecord, SourceError};
use pseudonym::fact_kind;

use self::instants::Instants;
use self::tally::Tally;
use crate::cli::unknown::Place;
use crate::sources::Source;

/// Reads a sample of each feed and says what it comes to.
pub(super) async fn check(
    report: &mut CheckReport,
    source: &Source,
    kind: &str,
    now: DateTime<Utc>,
) {
    for feed in source.connector.feeds() {
        if !can_be_read(report, feed) {
            continue;
        }
        match source.connector.sample(feed, now).await {
            Ok(sample) => tell(report, source, kind, feed, sample, now),
            // The connector's own check has met the same.
            Err(_) if has_error(report, feed) => {}
            Err(SourceError::Retry { what, .. }) => report.warn(
                format!("{feed}: no sample of its records can be read now: {what}"),
                "check again, to learn how many of its rows would leave",
            ),
            Err(SourceError::Misconfigured { what, help }) => report.error(
                format!("{feed}: no sample of its records can be read: {what}"),
                help,
            ),
        }
    }
}

/// Returns whether the connector's own check came as far as this feed.
fn can_be_read(report: &CheckReport, feed: Feed) -> bool {
    report.worst() < Level::Error || findings_of(report, feed).next().is_some()
}

fn has_error(report: &CheckReport, feed: Feed) -> bool {
    findings_of(report, feed).any(|finding| finding.level == Level::Error)
}

fn findings_of(report: &CheckReport, feed: Feed) -> impl Iterator<Item = &Finding> {
    let prefix = format!("{feed}: ");
    let findings = report.findings.iter();
    findings.filter(move |finding| finding.what.starts_with(&prefix))
}

fn tell(
    report: &mut CheckReport,
    source: &Source,
    kind: &str,
    feed: Feed,
    sample: Vec<SampledRecord>,
    now: DateTime<Utc>,
) {
    let mut instants = Instants::new(source.time_zone);
    let all = sample.iter().flat_map(|sampled| &sampled.instants);
    all.for_each(|instant| instants.add(*instant));
    instants.tell(report, feed);
    instants.tell_wall_clock(report, feed);
    let today = now.with_timezone(&source.time_zone).date_naive();
    let mut tally = Tally::default();
    for sampled in sample {
        tally.add(&source.pseudonymiser(), sampled, today);
    }
    let place = Place {
        source: &source.name,
        kind,
    };
    tally.tell(report, feed, place);
    let pseudonymiser = source.pseudonymiser();
    if let Some(persons) = pseudonymiser.release().smallest_class(fact_kind(feed)) {
        report.good(format!(
            "{feed}: of these those leave at once that say what facts of {persons} persons say; the \
             others are withheld"
        ));
    }
}
