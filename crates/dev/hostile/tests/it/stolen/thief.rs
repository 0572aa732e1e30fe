//! Whoever has stolen a set of parts, and asks which account a fact, a refused event or a token came
//! from: it follows bytes that are the same in two places, opens what it has keys for, and compares
//! orders.

use std::collections::HashMap;

use contract::PrivateKey;
use contract::wire::decode;
use escrow::{BatchName, Entry, Reader};
use hostile::classifier::{Row, most_by_chance};

use super::loot::Loot;
use super::part::{Part, Stolen};
use super::tokens::{SpentToken, Values, encoded};

/// Bytes of a message in which whatever tells it from others is looked for: header and key, and
/// the beginning of the ciphertext.
const LOOKED_AT: usize = 96;
pub(super) const PIECE_BYTES: usize = 16;
type Piece = [u8; PIECE_BYTES];
/// Record's digest as the database has it, or a token's nonce.
type Stored = [u8; 32];
/// Account of each record, and of each token, that an attack has found, by its place.
type Answers = HashMap<Stored, usize>;
/// Accounts of pieces that stand in what is known to be theirs; `None` where several have it.
type Tags = HashMap<Piece, Option<usize>>;

/// Way in which accounts were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Nothing,
    /// Of refused events alone.
    OfRefused,
    ByOrder,
    BySameBytes,
}

/// Batch that the registry's keys have opened.
pub(super) struct Opened {
    /// Records that it states, as the database has them, in their order.
    pub(super) records: Vec<Stored>,
    /// Token that it carries.
    pub(super) token: Vec<u8>,
}

impl Opened {
    /// Nonce of its token.
    pub(super) fn nonce(&self) -> [u8; 32] {
        *self.token[2..].first_chunk().unwrap()
    }
}

/// What keys make of a loot, made once for all sets of parts.
pub(super) struct Contents<'a> {
    pub(super) loot: &'a Loot,
    /// Batches that the relay's key has taken out of the clinics' messages, in their order.
    unsealed: Vec<Option<Vec<u8>>>,
    /// Batches that the registry's keys have opened, by their bytes.
    pub(super) opened: HashMap<Vec<u8>, Opened>,
    /// Entries of the relay's escrow and of the registry's, in their order.
    sent_by: Vec<(usize, BatchName)>,
    stated: Vec<(BatchName, Vec<Stored>)>,
    /// Tokens of the registry's database.
    pub(super) spent: Vec<SpentToken>,
    /// Pieces of what the token issuer has of each account.
    issued: Tags,
    /// Pieces of every form in which an issuer could know a token, by its nonce.
    forms: HashMap<[u8; 32], Vec<Piece>>,
}

impl<'a> Contents<'a> {
    pub(super) fn of(loot: &'a Loot) -> Self {
        let forms = |values: &Values| {
            let forms = values.forms().into_iter();
            let pieces = forms.map(|form| *form.first_chunk().unwrap());
            (values.nonce, pieces.collect())
        };
        let mut contents = Self {
            loot,
            unsealed: unsealed(loot),
            opened: opened(loot),
            sent_by: sent_by(loot),
            stated: stated(loot),
            spent: loot.spent.clone(),
            issued: Tags::new(),
            forms: values(loot).iter().map(forms).collect(),
        };
        let issuer = &loot.issuer;
        for account in 0..loot.accounts.len() {
            for bytes in issuer.left[account].all() {
                contents.issue(account, bytes);
            }
            for key in [&issuer.keys.batch, &issuer.keys.day] {
                contents.issue(account, &key.public_key().id());
            }
        }
        contents
    }

    /// Notes that the issuer has these bytes of an account.
    pub(super) fn issue(&mut self, account: usize, bytes: &[u8]) {
        for window in bytes.windows(PIECE_BYTES) {
            tag(&mut self.issued, account, *window.first_chunk().unwrap());
        }
    }

    /// Account of which the issuer has any form of a token, or its key's id.
    fn issued_to(&self, nonce: &[u8; 32], key_id: &[u8]) -> Option<usize> {
        let key_ids = encoded(key_id).into_iter();
        let key_ids = key_ids.filter_map(|form| form.first_chunk().copied());
        let forms = self.forms.get(nonce).into_iter().flatten().copied();
        forms
            .chain(key_ids)
            .find_map(|piece| self.issued.get(&piece).copied().flatten())
    }

    /// Truth: account of each record and of each token.
    fn truth(&self) -> Answers {
        let stored = |record| self.loot.second_layer.record(record);
        let of_batch = self.loot.sent.iter().flat_map(|sent| {
            let all = [stored(&sent.record), stored(&sent.refused), sent.nonce];
            all.map(|value| (value, sent.account))
        });
        let days = self.loot.day_nonces.iter().copied().zip(0..);
        of_batch.chain(days).collect()
    }
}

/// All values of the tokens of the registry's database.
pub(super) fn values(loot: &Loot) -> Vec<Values> {
    Values::of(&loot.spent, &loot.issuer.keys)
}

fn unsealed(loot: &Loot) -> Vec<Option<Vec<u8>>> {
    let outer = loot.passed.outer.iter();
    let opened = outer.map(|outer| loot.passed.key.open(&outer.message.bytes));
    opened.map(|batch| Some(batch.ok()?.bytes)).collect()
}

fn opened(loot: &Loot) -> HashMap<Vec<u8>, Opened> {
    let inner = loot.passed.inner.iter();
    inner
        .filter_map(|inner| {
            Some((
                inner.bytes.clone(),
                open(loot, &loot.private, &inner.bytes)?,
            ))
        })
        .collect()
}

fn open(loot: &Loot, key: &PrivateKey, bytes: &[u8]) -> Option<Opened> {
    let opened = key.open(bytes).ok()?;
    let events = decode(&opened.encoded).unwrap().into_iter();
    let records = events.map(|event| loot.second_layer.record(&event.unwrap().record));
    Some(Opened {
        records: records.collect(),
        token: opened.tokens.unwrap().batch.to_vec(),
    })
}

fn sent_by(loot: &Loot) -> Vec<(usize, BatchName)> {
    let mut sent = Vec::new();
    let folder = loot.relay_escrow();
    let reader = Reader::new(&folder, &loot.passed.auditor);
    let read = reader.read(|_, entry| {
        if let Entry::SentBy { account, batch } = entry {
            let mut names = loot.accounts.iter();
            let place = names.position(|name| *name == account.as_str());
            sent.push((place.expect("an account of the relay"), batch));
        }
    });
    read.unwrap();
    sent
}

fn stated(loot: &Loot) -> Vec<(BatchName, Vec<Stored>)> {
    let mut stated = Vec::new();
    let folder = loot.registry_escrow();
    let reader = Reader::new(&folder, &loot.passed.auditor);
    let read = reader.read(|_, entry| {
        if let Entry::Stated { batch, records } = entry {
            let records = records.into_iter().map(|stated| stated.record);
            stated.push((batch, records.collect()));
        }
    });
    read.unwrap();
    stated
}

/// Whoever has stolen a set of parts.
pub(super) struct Thief<'a> {
    contents: &'a Contents<'a>,
    stolen: &'a Stolen,
    tagged: Tags,
    answers: Answers,
    /// Accounts of records of refused events.
    refused: Answers,
    /// Accounts in the order of whatever shows one.
    pub(super) accounts: Vec<Vec<usize>>,
    /// Records in the order of whatever shows one.
    pub(super) records: Vec<Vec<Stored>>,
}

impl<'a> Thief<'a> {
    pub(super) fn new(contents: &'a Contents<'a>, stolen: &'a Stolen) -> Self {
        let mut thief = Self {
            contents,
            stolen,
            tagged: HashMap::new(),
            answers: HashMap::new(),
            refused: HashMap::new(),
            accounts: Vec::new(),
            records: Vec::new(),
        };
        thief.read_clinics_messages();
        thief.read_relay_escrow();
        thief.read_tokens();
        thief.read_registry_messages();
        thief.read_registry_escrow();
        thief.read_database();
        thief
    }

    fn has(&self, part: Part) -> bool {
        self.stolen.contains(&part)
    }

    /// Notes that these bytes stand in a message of an account's.
    pub(super) fn tag(&mut self, account: usize, bytes: &[u8]) {
        for piece in pieces(bytes) {
            tag(&mut self.tagged, account, piece);
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
        let outer = &self.contents.loot.passed.outer;
        self.accounts
            .push(outer.iter().map(|outer| outer.account).collect());
        for (outer, unsealed) in outer.iter().zip(&self.contents.unsealed) {
            self.tag(outer.account, &outer.message.id.0);
            self.tag_batch(outer.account, &outer.message.bytes);
            if self.has(Part::RelayKey)
                && let Some(batch) = unsealed
            {
                self.tag_batch(outer.account, batch);
            }
        }
    }

    /// Notes whose batch it is, opens it with the registry's keys, and notes what it states.
    pub(super) fn tag_batch(&mut self, account: usize, bytes: &[u8]) {
        self.tag(account, bytes);
        self.tag(account, BatchName::of(bytes).as_bytes());
        if self.has(Part::RegistryKeys)
            && let Some(opened) = self.contents.opened.get(bytes)
        {
            let told = opened.records.iter().copied().chain([opened.nonce()]);
            self.answers.extend(told.map(|value| (value, account)));
        }
    }

    fn read_relay_escrow(&mut self) {
        if !self.has(Part::RelayEscrow) || !self.has(Part::AuditorKey) {
            return;
        }
        let sent = &self.contents.sent_by;
        self.accounts
            .push(sent.iter().map(|(place, _)| *place).collect());
        for (account, batch) in sent {
            self.tag(*account, batch.as_bytes());
        }
    }

    /// Follows tokens: of the database, and of batches that it opens.
    fn read_tokens(&mut self) {
        let has_issuer = self.has(Part::TokenIssuer);
        if self.has(Part::RegistryDatabase) {
            for token in &self.contents.spent {
                let bytes: [&[u8]; 3] = [&token.nonce, &token.sealed, &token.key_id];
                let issued = || self.contents.issued_to(&token.nonce, &token.key_id);
                let account = self.account_of(&bytes);
                if let Some(account) = account.or_else(|| issued().filter(|_| has_issuer)) {
                    self.answers.insert(token.nonce, account);
                    self.tag(account, &token.sealed);
                }
            }
        }
        if has_issuer && self.has(Part::RegistryMessages) && self.has(Part::RegistryKeys) {
            for (bytes, opened) in &self.contents.opened {
                if let Some(account) = self.contents.issued_to(&opened.nonce(), &[]) {
                    self.tag_batch(account, bytes);
                }
            }
        }
    }

    pub(super) fn read_registry_messages(&mut self) {
        if !self.has(Part::RegistryMessages) {
            return;
        }
        let mut accounts = Vec::new();
        for inner in &self.contents.loot.passed.inner {
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
        let stated = &self.contents.stated;
        let records = stated.iter().flat_map(|(_, records)| records.clone());
        self.records.push(records.collect());
        for (batch, records) in stated {
            if let Some(account) = self.account_of(&[batch.as_bytes()]) {
                self.answers
                    .extend(records.iter().map(|record| (*record, account)));
            }
        }
    }

    pub(super) fn read_database(&mut self) {
        if !self.has(Part::RegistryDatabase) {
            return;
        }
        let rows = &self.contents.loot.rows;
        for row in rows {
            let mut bytes: Vec<&[u8]> = row.values.iter().map(Vec::as_slice).collect();
            bytes.push(&row.record);
            if let Some(account) = self.account_of(&bytes) {
                self.answers.entry(row.record).or_insert(account);
            }
        }
        for refusal in &self.contents.loot.refusals {
            if let Some(account) = self.account_of(&[&refusal.batch, &refusal.record]) {
                self.refused.insert(refusal.record, account);
            }
        }
        self.read_tokens();
        let mut ordered: Vec<&Row> = rows.iter().collect();
        // Numbers of persons, as far as they tell an order.
        ordered.sort_by_key(|row| row.values[4].clone());
        self.records
            .push(ordered.iter().map(|row| row.record).collect());
    }

    pub(super) fn told(&self) -> Told {
        let truth = self.contents.truth();
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
        if is_told(&self.refused, &truth) {
            return Told::OfRefused;
        }
        Told::Nothing
    }
}

fn tag(tags: &mut Tags, account: usize, piece: Piece) {
    let tagged = tags.entry(piece).or_insert(Some(account));
    if *tagged != Some(account) {
        *tagged = None;
    }
}

/// Returns whether more answers are right than a coin guesses.
fn is_told(answers: &Answers, truth: &Answers) -> bool {
    let right = answers
        .iter()
        .filter(|(value, account)| truth.get(*value) == Some(*account))
        .count();
    let all = u32::try_from(answers.len()).unwrap();
    u32::try_from(right).unwrap() > most_by_chance(all)
}

/// Pieces at every place of the beginning of these bytes.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT)];
    looked_at
        .windows(PIECE_BYTES)
        .map(|window| *window.first_chunk().unwrap())
}
