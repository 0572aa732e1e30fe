//! Check of what a source's records would become: a sample of each feed is read and told of.

mod instants;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed, Level, SampledRecord};

use self::instants::Instants;
use crate::sources::Source;

/// Reads a sample of each feed and says what it comes to.
pub(super) async fn check(report: &mut CheckReport, source: &Source, now: DateTime<Utc>) {
    for feed in source.connector.feeds() {
        if !can_be_read(report, feed) {
            continue;
        }
        match source.connector.sample(feed, now).await {
            Ok(sample) => tell(report, source, feed, &sample),
            // What keeps a sample from being read has been told already, where it was found.
            Err(_) if report.worst() == Level::Error => {}
            Err(error) => report.error(
                format!("{feed}: no sample of its records can be read: {error}"),
                "until it is mended, runs of this feed fail likewise",
            ),
        }
    }
}

/// Returns whether the connector's own check came as far as this feed.
fn can_be_read(report: &CheckReport, feed: Feed) -> bool {
    let prefix = format!("{feed}: ");
    let mut findings = report.findings.iter();
    report.worst() < Level::Error || findings.any(|finding| finding.what.starts_with(&prefix))
}

fn tell(report: &mut CheckReport, source: &Source, feed: Feed, sample: &[SampledRecord]) {
    let mut instants = Instants::new(source.time_zone);
    let all = sample.iter().flat_map(|sampled| &sampled.instants);
    all.for_each(|instant| instants.add(*instant));
    instants.tell(report, feed);
}
