//! Who can tell which account a fact came from: every set of stolen parts follows bytes that are
//! the same in two places, opens what it has keys for, and compares orders.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use contract::wire::decode;
use contract::{Event, PrivateKey};
use escrow::{BatchName, Entry, Reader};
use hostile::classifier::{Row, most_by_chance};

use super::loot::Loot;
use super::part::{Part, Stolen, least_sets, listed};
use super::table::is_in_the_docs;
use crate::recorded::recorded;

/// Bytes of a message in which whatever tells it from others is looked for: header and key, and
/// the beginning of the ciphertext.
const LOOKED_AT: usize = 96;
const PIECE_BYTES: usize = 16;
type Piece = [u8; PIECE_BYTES];
/// Record's digest as the database has it.
type Stored = [u8; 32];
/// Account of each record that an attack has found, by its place.
type Answers = HashMap<Stored, usize>;

/// Way in which accounts were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    ByOrder,
    BySameBytes,
}

/// Whoever has stolen a set of parts.
struct Thief<'a> {
    loot: &'a Loot,
    stolen: &'a Stolen,
    /// Accounts of pieces that stand in messages of theirs; `None` where several accounts have it.
    tagged: HashMap<Piece, Option<usize>>,
    answers: Answers,
    /// Accounts in the order of whatever shows one.
    accounts: Vec<Vec<usize>>,
    /// Records in the order of whatever shows one.
    records: Vec<Vec<Stored>>,
}

impl<'a> Thief<'a> {
    fn new(loot: &'a Loot, stolen: &'a Stolen) -> Self {
        let mut thief = Self {
            loot,
            stolen,
            tagged: HashMap::new(),
            answers: HashMap::new(),
            accounts: Vec::new(),
            records: Vec::new(),
        };
        thief.read_clinics_messages();
        thief.read_relay_escrow();
        thief.read_registry_messages();
        thief.read_registry_escrow();
        thief.read_database();
        thief
    }

    fn has(&self, part: Part) -> bool {
        self.stolen.contains(&part)
    }

    /// Notes that these bytes stand in a message of an account's.
    fn tag(&mut self, account: usize, bytes: &[u8]) {
        for piece in pieces(bytes) {
            let tagged = self.tagged.entry(piece).or_insert(Some(account));
            if *tagged != Some(account) {
                *tagged = None;
            }
        }
    }

    /// Account in whose messages any of these bytes stand.
    fn account_of(&self, bytes: &[&[u8]]) -> Option<usize> {
        let mut pieces = bytes.iter().flat_map(|bytes| pieces(bytes));
        pieces.find_map(|piece| self.tagged.get(&piece).copied().flatten())
    }

    fn read_clinics_messages(&mut self) {
        if !self.has(Part::ClinicsMessages) {
            return;
        }
        let outer = &self.loot.passed.outer;
        self.accounts
            .push(outer.iter().map(|outer| outer.account).collect());
        for outer in outer {
            let mut readable = vec![outer.message.bytes.clone()];
            self.tag(outer.account, &outer.message.id.0);
            if self.has(Part::RelayKey)
                && let Ok(batch) = self.loot.passed.key.open(&outer.message.bytes)
            {
                readable.push(batch.bytes);
            }
            for bytes in readable {
                self.tag_batch(outer.account, &bytes);
            }
        }
    }

    /// Notes whose batch it is, opens it with the registry's keys, and notes what it states.
    fn tag_batch(&mut self, account: usize, bytes: &[u8]) {
        self.tag(account, bytes);
        self.tag(account, BatchName::of(bytes).as_bytes());
        if !self.has(Part::RegistryKeys) {
            return;
        }
        for event in open(&self.loot.private, bytes) {
            let stored = self.loot.second_layer.record(&event.record);
            self.answers.insert(stored, account);
        }
    }

    fn read_relay_escrow(&mut self) {
        if !self.has(Part::RelayEscrow) || !self.has(Part::AuditorKey) {
            return;
        }
        let mut sent = Vec::new();
        let folder = self.loot.relay_escrow();
        let reader = Reader::new(&folder, &self.loot.passed.auditor);
        let read = reader.read(|_, entry| {
            if let Entry::SentBy { account, batch } = entry {
                let mut names = self.loot.accounts.iter();
                let place = names.position(|name| *name == account.as_str());
                sent.push((place.expect("an account of the relay"), batch));
            }
        });
        read.unwrap();
        self.accounts
            .push(sent.iter().map(|(place, _)| *place).collect());
        for (account, batch) in sent {
            self.tag(account, batch.as_bytes());
        }
    }

    fn read_registry_messages(&mut self) {
        if !self.has(Part::RegistryMessages) {
            return;
        }
        let mut accounts = Vec::new();
        for inner in &self.loot.passed.inner {
            let name = BatchName::of(&inner.bytes);
            let bytes = [&inner.bytes[..], &inner.properties, name.as_bytes()];
            if let Some(account) = self.account_of(&bytes) {
                accounts.push(account);
                self.tag_batch(account, &inner.bytes);
            }
        }
        self.accounts.push(accounts);
    }

    fn read_registry_escrow(&mut self) {
        if !self.has(Part::RegistryEscrow) || !self.has(Part::AuditorKey) {
            return;
        }
        let mut stated = Vec::new();
        let folder = self.loot.registry_escrow();
        let reader = Reader::new(&folder, &self.loot.passed.auditor);
        let read = reader.read(|_, entry| {
            if let Entry::Stated { batch, records } = entry {
                let records = records.into_iter().map(|stated| stated.record);
                stated.push((batch, records.collect::<Vec<Stored>>()));
            }
        });
        read.unwrap();
        let records = stated.iter().flat_map(|(_, records)| records.clone());
        self.records.push(records.collect());
        for (batch, records) in stated {
            if let Some(account) = self.account_of(&[batch.as_bytes()]) {
                self.answers
                    .extend(records.into_iter().map(|record| (record, account)));
            }
        }
    }

    fn read_database(&mut self) {
        if !self.has(Part::RegistryDatabase) {
            return;
        }
        let rows = &self.loot.rows;
        for row in rows {
            let mut bytes: Vec<&[u8]> = row.values.iter().map(Vec::as_slice).collect();
            bytes.push(&row.record);
            if let Some(account) = self.account_of(&bytes) {
                self.answers.entry(row.record).or_insert(account);
            }
        }
        let mut ordered: Vec<&Row> = rows.iter().collect();
        // Numbers of persons rise in the order in which their first facts came.
        ordered.sort_by_key(|row| row.values[4].clone());
        self.records
            .push(ordered.iter().map(|row| row.record).collect());
    }

    /// Truth: account of each record.
    fn truth(&self) -> Answers {
        let stated = self.loot.stated.iter();
        let stored = |record| self.loot.second_layer.record(record);
        stated
            .map(|(account, record)| (stored(record), *account))
            .collect()
    }

    fn told(&self) -> Told {
        let truth = self.truth();
        if is_told(&self.answers, &truth) {
            return Told::BySameBytes;
        }
        for accounts in &self.accounts {
            for records in &self.records {
                let pairs = records.iter().copied().zip(accounts.iter().copied());
                if records.len() == accounts.len() && is_told(&pairs.collect(), &truth) {
                    return Told::ByOrder;
                }
            }
        }
        Told::Nothing
    }
}

/// Returns whether more answers are right than a coin guesses.
fn is_told(answers: &Answers, truth: &Answers) -> bool {
    let right = answers
        .iter()
        .filter(|(record, account)| truth.get(*record) == Some(*account))
        .count();
    let all = u32::try_from(answers.len()).unwrap();
    u32::try_from(right).unwrap() > most_by_chance(all)
}

/// Pieces at every place of the beginning of these bytes.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT)];
    looked_at
        .windows(PIECE_BYTES)
        .map(|window| *window.first_chunk().unwrap())
}

/// Events of a batch, where the key opens it.
fn open(key: &PrivateKey, bytes: &[u8]) -> Vec<Event> {
    let Ok(opened) = key.open(bytes) else {
        return Vec::new();
    };
    let events = decode(&opened.encoded).unwrap();
    events.into_iter().map(Result::unwrap).collect()
}

#[test]
fn the_sets_of_parts_that_tell_accounts_are_those_of_the_docs() {
    let loot = &recorded().strong;
    let least = least_sets(&Part::OF_SENDERS, Told::Nothing, |stolen| {
        Thief::new(loot, stolen).told()
    });
    let mut table = String::from("| stolen together | how |\n| --- | --- |\n");
    for (stolen, told) in least {
        let told = match told {
            Told::Nothing => "not at all",
            Told::ByOrder => "by the order of entries and rows",
            Told::BySameBytes => "by the batches' bytes or names",
        };
        writeln!(table, "| {} | {told} |", listed(&stolen)).unwrap();
    }
    is_in_the_docs("senders", &table);
}

/// The relay's state and configuration name accounts, and nothing of a batch stands there.
#[test]
fn the_relays_state_and_configuration_hold_nothing_of_a_batch() {
    let loot = &recorded().strong;
    let disk = loot.relay_disk();
    let windows = disk.iter().flat_map(|bytes| bytes.windows(PIECE_BYTES));
    let disk: HashSet<&[u8]> = windows.collect();
    assert!(disk.contains(&b"[[accounts]]\nname"[..PIECE_BYTES]));
    for outer in &loot.passed.outer {
        let name = BatchName::of(&outer.batch.bytes);
        let digits = outer.batch.id.to_hex();
        let of_batch = [
            &outer.message.bytes[..],
            &outer.batch.bytes,
            name.as_bytes(),
        ];
        let ids = [
            &outer.message.id.0[..],
            &outer.batch.id.0,
            digits.as_bytes(),
        ];
        let mut all = of_batch.iter().chain(&ids).flat_map(|bytes| pieces(bytes));
        assert!(!all.any(|piece| disk.contains(&piece[..])));
    }
}

/// The attack finds what is there: without the outer seal the two brokers' messages are the same.
#[test]
fn without_the_outer_seal_the_clinics_messages_and_the_registrys_keys_would_be_enough() {
    let loot = &recorded().strong;
    let stolen = Stolen::from([Part::ClinicsMessages, Part::RegistryKeys]);
    assert_eq!(Thief::new(loot, &stolen).told(), Told::Nothing);
    let mut thief = Thief::new(loot, &stolen);
    for outer in &loot.passed.outer {
        thief.tag_batch(outer.account, &outer.batch.bytes);
    }
    assert_eq!(thief.told(), Told::BySameBytes);

    // And it lays orders side by side: a database that kept the order of messages would tell.
    let stolen = Stolen::from([
        Part::ClinicsMessages,
        Part::RelayKey,
        Part::RegistryMessages,
        Part::RegistryDatabase,
    ]);
    let mut thief = Thief::new(loot, &stolen);
    assert_eq!(thief.told(), Told::Nothing);
    let inner = loot.passed.inner.iter();
    let inner = inner.flat_map(|inner| open(&loot.private, &inner.bytes));
    let in_order = inner.map(|event| loot.second_layer.record(&event.record));
    thief.records.push(in_order.collect());
    assert_eq!(thief.told(), Told::ByOrder);

    // And it follows a message from one broker to the other by its bytes alone.
    let stolen = Stolen::from([Part::RegistryMessages]);
    let mut thief = Thief::new(loot, &stolen);
    assert_eq!(thief.accounts, [Vec::<usize>::new()]);
    for outer in &loot.passed.outer {
        thief.tag(outer.account, &outer.batch.bytes);
    }
    thief.read_registry_messages();
    assert_eq!(thief.accounts[1].len(), loot.passed.inner.len());
}
