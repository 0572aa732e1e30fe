//! Days that an SQLite query itself makes of a number: SQLite knows UTC and this machine's zone,
//! never the clinic's.

use chrono_tz::Tz;
use connector_kit::CheckReport;

use crate::date;
use crate::layout::Layout;
use crate::settings::{FeedSettings, SqlSettings};
use crate::table::Table;
use crate::value::Kind;

/// Warns of dates that come as bare days out of a query that turns numbers into dates.
pub(super) fn check(
    feed: &FeedSettings,
    settings: &SqlSettings,
    layout: &Layout,
    rows: &Table,
    report: &mut CheckReport,
) {
    let Some(zone) = zone_of(&feed.statement.text, settings.zone) else {
        return;
    };
    for name in ["occurred_on", "began_on"] {
        let Some(ordinal) = layout.ordinal(name) else {
            continue;
        };
        let is_bare = rows.rows().any(|row| {
            let cell = row.cell(ordinal);
            cell.kind == Kind::Text && date::instant(cell, settings.encoding).is_none()
        });
        if is_bare {
            report.warn(
                format!(
                    "{}: {name} comes as text without a zone, and the query makes days of \
                     numbers: if this is one of them, it is the day in {zone}, not in {}",
                    feed.feed,
                    settings.zone.name()
                ),
                format!("select the number itself AS {name}: it becomes the date in time_zone"),
            );
        }
    }
}

/// Zone in which the query's own days are; `None` where it makes none, or where it is the clinic's.
fn zone_of(query: &str, clinic: Tz) -> Option<&'static str> {
    let query = query.to_lowercase();
    let has = |modifier: &str| query.contains(modifier);
    if has("'localtime'") {
        Some("this machine's zone")
    } else if (has("'unixepoch'") || has("'auto'")) && clinic != Tz::UTC {
        Some("UTC")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_query_that_makes_days_of_numbers_is_doubted() {
        let zone = |query| zone_of(query, Tz::Europe__Moscow);
        assert_eq!(zone("SELECT date(at, 'unixepoch') FROM t"), Some("UTC"));
        assert_eq!(
            zone("SELECT date(at, 'unixepoch', 'LOCALTIME') FROM t"),
            Some("this machine's zone")
        );
        assert_eq!(zone("SELECT at FROM t"), None);
        assert_eq!(zone_of("SELECT date(at, 'unixepoch')", Tz::UTC), None);
    }
}
