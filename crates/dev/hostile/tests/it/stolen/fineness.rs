//! Which times each part keeps, and how fine they are.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use escrow::Reader;
use serde_json::Value;

use super::days::Days;
use super::loot::files;
use super::table::is_in_the_docs;
use crate::recorded::recorded;

/// Column of the registry's database with a time.
struct TimeColumn {
    name: &'static str,
    /// Type in PostgreSQL.
    kind: &'static str,
    fineness: &'static str,
    beside: &'static str,
}

const fn column(
    name: &'static str,
    kind: &'static str,
    fineness: &'static str,
    beside: &'static str,
) -> TimeColumn {
    TimeColumn {
        name,
        kind,
        fineness,
        beside,
    }
}

const DATE: &str = "date";
const INSTANT: &str = "timestamp with time zone";
const SECONDS: &str = "bigint";
const TEXT: &str = "text";

const DAY: &str = "a day";
const SECOND: &str = "a second";
const MICROSECOND: &str = "a microsecond";

const COLUMNS: [TimeColumn; 19] = [
    column(
        "_sqlx_migrations.installed_on",
        INSTANT,
        MICROSECOND,
        "a change of the tables",
    ),
    column(
        "attempt.noted_at",
        INSTANT,
        MICROSECOND,
        "the digest of a message that the registry failed at, until it is stored or given up",
    ),
    column(
        "certificate_count.ends_at",
        SECONDS,
        DAY,
        "a name: when its certificate ends",
    ),
    column(
        "contest.first_seen_at",
        INSTANT,
        MICROSECOND,
        "a name about which records disagree",
    ),
    column("day_token.seen_on", DATE, DAY, "a token of a day"),
    column(
        "decision.decided_at",
        INSTANT,
        MICROSECOND,
        "names that an operator has decided about",
    ),
    column("fact.began_on", TEXT, DAY, "a fact, which says it"),
    column("fact.occurred_earliest", DATE, DAY, "the same"),
    column("fact.occurred_on", TEXT, DAY, "the same"),
    column(
        "former_name.made_at",
        SECONDS,
        SECOND,
        "a name with passes, when its key was changed",
    ),
    column(
        "operator_action.done_at",
        INSTANT,
        MICROSECOND,
        "an operator's action on names",
    ),
    column(
        "pass_count.begins_at",
        SECONDS,
        DAY,
        "a name: the window of a pass",
    ),
    column("pass_count.ends_at", SECONDS, DAY, "the same"),
    column(
        "pass_mark.made_at",
        SECONDS,
        SECOND,
        "a name or person whose facts have changed, until the portal's next look",
    ),
    column(
        "random_pass_count.begins_at",
        SECONDS,
        DAY,
        "a name: the window of a pass",
    ),
    column("random_pass_count.ends_at", SECONDS, DAY, "the same"),
    column(
        "refusal.seen_at",
        INSTANT,
        MICROSECOND,
        "a refused event: its record, its batch's id",
    ),
    column(
        "rekeying.finished_at",
        SECONDS,
        SECOND,
        "a change of the key services' keys",
    ),
    column("spent_token.spent_on", DATE, DAY, "a token of a batch"),
];

/// Details of what a client did in an hour.
const HOUR_DETAILS: [&str; 6] = [
    "client", "elements", "from", "refusals", "requests", "until",
];

/// Every form in which a second of the city's work could stand somewhere.
struct Moments {
    texts: Vec<String>,
    numbers: HashSet<[u8; 8]>,
}

impl Moments {
    fn of(days: &Days) -> Self {
        let mut texts = BTreeSet::new();
        let mut numbers = HashSet::new();
        for span in &days.spans {
            let mut moment = span.start;
            while moment <= span.end {
                texts.insert(moment.format("%Y-%m-%dT%H:%M").to_string());
                texts.insert(moment.format("%Y-%m-%d %H:%M").to_string());
                texts.insert(moment.timestamp().to_string());
                let seconds = moment.timestamp();
                for number in [1, 1_000, 1_000_000, 1_000_000_000].map(|unit| seconds * unit) {
                    numbers.insert(number.to_be_bytes());
                    numbers.insert(number.to_le_bytes());
                }
                moment += TimeDelta::seconds(1);
            }
        }
        Self {
            texts: texts.into_iter().collect(),
            numbers,
        }
    }

    fn stand_in(&self, bytes: &[u8]) -> bool {
        let mut windows = bytes.windows(8);
        let text = String::from_utf8_lossy(bytes);
        windows.any(|window| self.numbers.contains(window))
            || self.texts.iter().any(|moment| text.contains(moment))
    }
}

/// Relay, escrow and the issuer's counts keep days; the issuer's audit log keeps hours.
pub(super) fn no_part_keeps_a_finer_time(days: &Days) {
    let moments = Moments::of(days);
    let folders = [days.relay_escrow(), days.registry_escrow()];
    let mut leavings: Vec<Vec<u8>> = vec![fs::read(days.relay_state()).unwrap()];
    for folder in &folders {
        leavings.extend(files(folder));
        leavings.extend(names(folder));
        let reader = Reader::new(folder, &days.auditor);
        let read = reader.read(|day, entry| leavings.push(format!("{day}{entry:?}").into_bytes()));
        read.unwrap();
    }
    let services = || days.issuer.left.iter().chain(&days.key_service);
    leavings.extend(services().flat_map(|left| left.disk.clone()));
    assert!(!leavings.iter().any(|bytes| moments.stand_in(bytes)));

    for left in services() {
        let lines = left.audited();
        let text = left.audit.concat();
        assert!(
            moments.stand_in(&text),
            "what has a time is seen to have it"
        );
        let events: BTreeSet<&str> = lines
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        let expected = ["client-changed", "hour", "key-changed", "start", "stop"];
        assert_eq!(events, BTreeSet::from(expected));
        let hours = lines.iter().filter(|line| line["event"] == "hour");
        let hours: Vec<&Value> = hours.map(|line| &line["details"]).collect();
        // Several requests of a day are one line, whose times are those of the hour.
        let requests = hours.iter().map(|hour| hour["requests"].as_u64().unwrap());
        assert!(requests.sum::<u64>() > 2);
        assert_eq!(hours.len(), 2);
        for hour in hours {
            let keys: BTreeSet<&str> = hour
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(keys, BTreeSet::from(HOUR_DETAILS));
        }
    }
}

fn names(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_encoded_bytes());
    names.collect()
}

/// The registry's database has no time but these.
pub(super) async fn the_columns_with_a_time_are_known(days: &Days) {
    let columns = days.query(
        "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns
         WHERE table_schema = 'public' AND (data_type LIKE '%time%' OR data_type = 'date'
             OR column_name ~ '(_at|_on|_earliest)$') ORDER BY 1;",
    );
    let columns = columns.await;
    let known = COLUMNS.map(|column| format!("{}|{}", column.name, column.kind));
    assert_eq!(columns, known);
    let mut table = String::from("| column | fineness | stands beside |\n| --- | --- | --- |\n");
    for column in COLUMNS {
        let TimeColumn {
            name,
            fineness,
            beside,
            ..
        } = column;
        writeln!(table, "| `{name}` | {fineness} | {beside} |").unwrap();
    }
    is_in_the_docs("times", &table);
}

/// Bit of the property flags that a message with a time has (AMQP 0-9-1, section 4.2.6.1).
const HAS_TIMESTAMP: u16 = 1 << 6;

#[test]
fn no_message_that_the_relay_passes_on_has_a_time() {
    for inner in &recorded().strong.passed.inner {
        let flags = u16::from_be_bytes(*inner.properties.first_chunk().unwrap());
        assert_eq!(flags & HAS_TIMESTAMP, 0);
    }
}
