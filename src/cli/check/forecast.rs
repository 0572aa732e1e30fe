//! Forecast of a first load under the ceilings of the key services.

use std::time::Duration;

use clock::Clock;
use connector_kit::{CheckReport, Connector, Feed, KeysRequest};
use outbox::OutboxReader;
use pseudonym::KeyRing;

use super::section::Section;
use crate::cli::outbox_file;
use crate::config::LoadedConfig;
use crate::sources::Source;
use crate::{cursor, gateway};

/// Most records of one feed that are counted.
const MOST_COUNTED: u64 = 5_000_000;

/// Longest time that the records of one feed are counted for.
const COUNTING: Duration = Duration::from_secs(30);

/// Records in a page of keys.
const PAGE_KEYS: u32 = 10_000;

/// Records of feeds that are yet to be read to their end.
#[derive(Debug, Default)]
struct Counted {
    records: u64,
    /// True if there are more, which were not counted.
    more: bool,
}

/// Says how long a first load, or one under other settings, takes at a ceiling of so many elements
/// a day; `None` where no feed is left to be loaded.
pub(super) async fn section(
    loaded: &LoadedConfig,
    ring: &KeyRing,
    ceiling: u64,
    clock: &dyn Clock,
) -> Option<Section> {
    let sources = gateway::build_sources(loaded, ring).ok()?;
    let reader = OutboxReader::open(&outbox_file::path(loaded)).await.ok();
    let mut counted = Counted::default();
    for source in sources {
        for feed in source.connector.feeds() {
            if !is_loaded(reader.as_ref(), &source, feed).await {
                counted.add(source.connector.as_ref(), feed, clock).await;
            }
        }
    }
    if counted.records == 0 {
        return None;
    }
    let mut report = CheckReport::default();
    report.good(sentence(&counted, ceiling));
    Some(Section::new("first load", report))
}

impl Counted {
    /// Adds the records of a feed; what cannot be read is told by the source's own check.
    async fn add(&mut self, connector: &dyn Connector, feed: Feed, clock: &dyn Clock) {
        let mut request = KeysRequest {
            feed,
            after: None,
            limit: PAGE_KEYS,
            now: clock.now(),
        };
        let mut records = 0;
        let counting = async {
            while let Ok(page) = connector.keys(request.clone()).await {
                records += page.keys.len() as u64;
                if page.next.is_none() || records >= MOST_COUNTED {
                    return page.next.is_some();
                }
                request.after = page.next;
            }
            true
        };
        let unfinished = tokio::time::timeout(COUNTING, counting).await;
        self.more |= unfinished.unwrap_or(true);
        self.records += records;
    }
}

/// Returns whether the feed was read to its end under the present settings: others have all of it
/// read again, as where the city moves to another suite.
async fn is_loaded(reader: Option<&OutboxReader>, source: &Source, feed: Feed) -> bool {
    let Some(reader) = reader else {
        return false;
    };
    let status = reader.status().await;
    let feeds = status.map(|status| status.feeds).unwrap_or_default();
    let is_whole = feeds
        .iter()
        .any(|one| one.load.is_none() && one.source == source.name && one.feed == feed.as_str());
    let stored = reader
        .cursor(&source.name, feed.as_str())
        .await
        .ok()
        .flatten();
    let settings = source.settings(feed);
    is_whole && cursor::read(&settings, stored.as_deref()).is_some()
}

fn sentence(counted: &Counted, ceiling: u64) -> String {
    let records = counted.records;
    let more = if counted.more { "more than " } else { "" };
    let time = time_text(records, ceiling);
    format!(
        "{more}{records} records are still to be read: {time} at this ceiling ({ceiling} a day) if \
         each is about another person with one identifier; less where persons have several \
         records, more where they have several identifiers"
    )
}

/// Time for so many elements at so many a day.
fn time_text(elements: u64, ceiling: u64) -> String {
    let hours = (u128::from(elements) * 24).div_ceil(u128::from(ceiling.max(1)));
    let unit = |number: u128, one: &str, several: &str| {
        let word = if number == 1 { one } else { several };
        format!("{number} {word}")
    };
    if elements <= ceiling {
        return "less than a day".to_owned();
    }
    let days = unit(hours / 24, "day", "days");
    match hours % 24 {
        0 => days,
        hours => format!("{days} {}", unit(hours, "hour", "hours")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_days_and_hours() {
        for (elements, ceiling, expected) in [
            (0, 20_000, "less than a day"),
            (20_000, 20_000, "less than a day"),
            (20_001, 20_000, "1 day 1 hour"),
            (63_333, 20_000, "3 days 4 hours"),
            (60_000, 20_000, "3 days"),
            (u64::MAX, 1, "18446744073709551615 days"),
            (5, 0, "5 days"),
        ] {
            assert_eq!(time_text(elements, ceiling), expected);
        }
    }

    #[test]
    fn a_count_that_is_no_whole_one_says_so() {
        let counted = |more| Counted {
            records: 63_333,
            more,
        };
        let told = sentence(&counted(false), 20_000);
        assert!(told.starts_with("63333 records") && told.contains("3 days 4 hours"));
        assert!(sentence(&counted(true), 20_000).starts_with("more than 63333"));
    }
}
