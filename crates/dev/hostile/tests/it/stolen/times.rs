//! What times tell of accounts where on a day one clinic alone sends: every set of stolen parts
//! tries.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;

use chrono::{DateTime, NaiveDate, Utc};
use escrow::{Entry, Reader};
use hostile::classifier::most_by_chance;
use serde_json::Value;

use super::days::{ACCOUNTS, Days};
use super::door::Left;
use super::fineness::{no_part_keeps_a_finer_time, the_columns_with_a_time_are_known};
use super::part::{Part, Stolen, least_sets, listed};
use super::table::is_in_the_docs;

/// Parts that keep a time of an account or of a record.
const PARTS: [Part; 8] = [
    Part::RelayDisk,
    Part::RelayEscrow,
    Part::RegistryDatabase,
    Part::RegistryEscrow,
    Part::AuditorKey,
    Part::KeyService1,
    Part::KeyService2,
    Part::TokenIssuer,
];

/// Accounts that a part shows to have been there on a day.
type Seen = BTreeSet<(NaiveDate, usize)>;
/// Records with the day on which a part shows them to have been stored.
type Stored = Vec<([u8; 32], NaiveDate)>;

/// Everything that parts tell about days.
struct Known {
    relay_disk: Seen,
    relay_escrow: Seen,
    key_service: Seen,
    issuer: Seen,
    database: Stored,
    registry_escrow: Stored,
}

impl Known {
    async fn of(days: &Days) -> Self {
        Self {
            relay_disk: relay_disk(days),
            relay_escrow: relay_escrow(days),
            key_service: asked(&days.key_service),
            issuer: asked(&days.issuer.left),
            database: database(days).await,
            registry_escrow: registry_escrow(days),
        }
    }

    /// Accounts of records that a set of parts tells: those of days on which it sees one account
    /// alone.
    fn answers(&self, stolen: &Stolen) -> HashMap<[u8; 32], usize> {
        let has = |part| stolen.contains(&part);
        let has_auditor = has(Part::AuditorKey);
        let accounts = [
            (has(Part::RelayDisk), &self.relay_disk),
            (has(Part::RelayEscrow) && has_auditor, &self.relay_escrow),
            (has(Part::KeyService1), &self.key_service),
            (has(Part::KeyService2), &self.key_service),
            (has(Part::TokenIssuer), &self.issuer),
        ];
        let records = [
            (has(Part::RegistryDatabase), &self.database),
            (
                has(Part::RegistryEscrow) && has_auditor,
                &self.registry_escrow,
            ),
        ];
        let mut answers = HashMap::new();
        for (_, seen) in accounts.iter().filter(|(has, _)| *has) {
            for (_, stored) in records.iter().filter(|(has, _)| *has) {
                for (record, day) in *stored {
                    let mut there = seen.iter().filter(|(seen_on, _)| seen_on == day);
                    if let (Some((_, account)), None) = (there.next(), there.next()) {
                        answers.insert(*record, *account);
                    }
                }
            }
        }
        answers
    }
}

/// Days on which the relay may have heard an account: up to the last one, which it keeps.
fn relay_disk(days: &Days) -> Seen {
    let kept: Value = serde_json::from_slice(&fs::read(days.relay_state()).unwrap()).unwrap();
    let mut seen = Seen::new();
    for (place, name) in ACCOUNTS.iter().enumerate() {
        let day = |key: &str| -> NaiveDate { kept[name][key].as_str().unwrap().parse().unwrap() };
        let heard = day("since")
            .iter_days()
            .take_while(|it| *it <= day("heard"));
        seen.extend(heard.map(|day| (day, place)));
    }
    seen
}

fn relay_escrow(days: &Days) -> Seen {
    let mut seen = Seen::new();
    let reader = Reader::new(&days.relay_escrow(), &days.auditor);
    let read = reader.read(|day, entry| {
        if let Entry::SentBy { account, .. } = entry {
            let place = ACCOUNTS.iter().position(|name| *name == account.as_str());
            seen.insert((day, place.unwrap()));
        }
    });
    read.unwrap();
    seen
}

/// Days on which clinics asked a key service or the token issuer.
fn asked(services: &[Left]) -> Seen {
    let mut seen = Seen::new();
    for (account, left) in services.iter().enumerate() {
        let hours = left.audited().into_iter();
        for line in hours.filter(|line| line["event"] == "hour") {
            assert_eq!(line["details"]["client"], ACCOUNTS[account]);
            let from: DateTime<Utc> = time(&line["details"]["from"]);
            seen.insert((from.date_naive(), account));
        }
    }
    seen
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn registry_escrow(days: &Days) -> Stored {
    let mut stored = Stored::new();
    let reader = Reader::new(&days.registry_escrow(), &days.auditor);
    let read = reader.read(|day, entry| {
        if let Entry::Stated { records, .. } = entry {
            stored.extend(records.into_iter().map(|stated| (stated.record, day)));
        }
    });
    read.unwrap();
    stored
}

/// Facts, and the day of the tokens that were spent in the transaction which has stored them:
/// PostgreSQL keeps the number of the transaction with each row.
async fn database(days: &Days) -> Stored {
    let rows = days.query(
        "SELECT DISTINCT encode(fact.record, 'hex'), token.spent_on FROM fact
         JOIN spent_token token ON token.xmin = fact.xmin;",
    );
    let rows = rows.await.into_iter().map(|row| {
        let (record, day) = row.split_once('|').unwrap();
        (digest(record), day.parse().unwrap())
    });
    rows.collect()
}

fn digest(digits: &str) -> [u8; 32] {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(pair, 16).unwrap()
    });
    bytes.collect::<Vec<u8>>().try_into().unwrap()
}

#[tokio::test]
async fn the_times_that_parts_keep_and_what_they_tell_are_those_of_the_docs() {
    let days = Days::play().await;
    days_tell_what_the_docs_say(&days, &Known::of(&days).await);
    no_part_keeps_a_finer_time(&days);
    the_columns_with_a_time_are_known(&days).await;
}

fn days_tell_what_the_docs_say(days: &Days, known: &Known) {
    let truth: BTreeMap<[u8; 32], (NaiveDate, usize)> = days
        .truth
        .iter()
        .map(|truth| (truth.record, (truth.day, truth.account)))
        .collect();
    let first = days.spans[0].start.date_naive();
    let least = least_sets(&PARTS, false, true, |stolen| {
        let answers = known.answers(stolen);
        let is_right = |(record, account): &(&[u8; 32], &usize)| truth[*record].1 == **account;
        let right = answers.iter().filter(is_right).count();
        // Where both have sent, days tell nothing.
        assert!(answers.keys().all(|record| truth[record].0 != first));
        assert_eq!(right, answers.len(), "what days tell is right: {stolen:?}");
        u32::try_from(right).unwrap() > most_by_chance(u32::try_from(right).unwrap())
    });
    let mut table = String::from("| stolen together |\n| --- |\n");
    for (stolen, _) in least {
        writeln!(table, "| {} |", listed(&stolen)).unwrap();
    }
    is_in_the_docs("days", &table);
}
