//! Sender of records, honest or not: it derives owner tokens, versions and content digests as a
//! gateway does, and remembers what it has stated.

use std::collections::BTreeMap;

use contract::{
    Body, ContentDigest, Event, Fact, FactKind, OwnerToken, Pseudonym, RecordDigest, Subject,
    Version, wire,
};
use record_secrets::{RecordSecrets, Revision};
use sha2::{Digest, Sha256};

/// Sender with a record key of its own.
#[derive(Debug, Clone)]
pub struct Clinic {
    key: [u8; 32],
    secrets: RecordSecrets,
    generation: u32,
    /// Number of each record with its count in this generation and its newest event.
    records: BTreeMap<u32, (u32, Event)>,
}

impl Clinic {
    /// Sender in its first generation.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::in_generation(seed, 1)
    }

    /// Sender whose state was lost or copied back some times before.
    #[must_use]
    pub fn in_generation(seed: u64, generation: u32) -> Self {
        let key = Sha256::new()
            .chain_update(b"record key")
            .chain_update(seed.to_be_bytes());
        let key = key.finalize().into();
        Self {
            key,
            secrets: RecordSecrets::new(&key),
            generation,
            records: BTreeMap::new(),
        }
    }

    /// Digest of the record with this number.
    #[must_use]
    pub fn record(&self, number: u32) -> RecordDigest {
        let digest = Sha256::new()
            .chain_update(b"record")
            .chain_update(self.key)
            .chain_update(number.to_be_bytes());
        RecordDigest(digest.finalize().into())
    }

    /// Owner token that this sender has for any record, its own or not.
    #[must_use]
    pub fn owner(&self, record: &RecordDigest) -> OwnerToken {
        self.secrets.owner(record)
    }

    /// States a fact in a record, for the first time or as a correction.
    ///
    /// # Panics
    /// The names are none of a person's, or the record was of another kind.
    pub fn state(&mut self, number: u32, names: &[Pseudonym], fact: Fact) -> Event {
        let subject = Subject::new(names.to_vec()).expect("the names are within the limits");
        self.next(number, Body::Asserted { subject, fact })
    }

    /// Takes a record back; `None` where it was never stated.
    pub fn withdraw(&mut self, number: u32) -> Option<Event> {
        let kind = self.records.get(&number)?.1.body.kind();
        Some(self.next(number, Body::Withdrawn { kind }))
    }

    /// Takes everything back that is stated.
    pub fn withdraw_all(&mut self) -> Vec<Event> {
        let stated = self.records.iter().filter(|(_, held)| is_asserted(&held.1));
        let stated: Vec<u32> = stated.map(|(number, _)| *number).collect();
        let withdrawals = stated.into_iter();
        withdrawals
            .filter_map(|number| self.withdraw(number))
            .collect()
    }

    /// Raises the generation, as after a state that was lost, and states everything again.
    pub fn restore(&mut self) -> Vec<Event> {
        self.generation += 1;
        let bodies = self.records.iter_mut().map(|(number, held)| {
            held.0 = 0;
            (*number, held.1.body.clone())
        });
        let bodies: Vec<(u32, Body)> = bodies.collect();
        let again = bodies.into_iter();
        again
            .map(|(number, body)| self.next(number, body))
            .collect()
    }

    /// Gives a record of this sender's a version of any size.
    pub fn raise(&mut self, number: u32, version: Version) -> Option<Event> {
        let held = self.records.get_mut(&number)?;
        held.1.version = version;
        Some(held.1.clone())
    }

    /// Numbers of the records.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.records.keys().copied()
    }

    /// Newest event of each record.
    pub fn newest(&self) -> impl Iterator<Item = &Event> {
        self.records.values().map(|held| &held.1)
    }

    /// Newest event of a record.
    #[must_use]
    pub fn newest_of(&self, number: u32) -> Option<&Event> {
        self.records.get(&number).map(|held| &held.1)
    }

    /// Event of a revision of a record, which becomes the newest.
    ///
    /// # Panics
    /// The revision is beyond the limits.
    fn next(&mut self, number: u32, body: Body) -> Event {
        let record = self.record(number);
        let count = self.records.get(&number).map_or(1, |held| held.0 + 1);
        let revision = Revision {
            generation: self.generation,
            count,
        };
        let version = self.secrets.version(&record, revision);
        let event = Event {
            record,
            version: version.expect("the revision is within the limits"),
            content: self.content(&record, &body),
            owner: self.secrets.owner(&record),
            body,
        };
        self.records.insert(number, (count, event.clone()));
        event
    }

    fn content(&self, record: &RecordDigest, body: &Body) -> ContentDigest {
        match body {
            Body::Withdrawn { kind } => self.secrets.withdrawal_content(record, *kind),
            Body::Asserted { .. } => self.secrets.content(record, &canonical(body)),
        }
    }
}

/// Bytes that say what a body says, and nothing of its record.
fn canonical(body: &Body) -> Vec<u8> {
    let version = Version::MAX;
    wire::encode(&[Event {
        record: RecordDigest([0; 32]),
        version,
        content: ContentDigest([0; 16]),
        owner: OwnerToken([0; 16]),
        body: body.clone(),
    }])
}

fn is_asserted(event: &Event) -> bool {
    matches!(event.body, Body::Asserted { .. })
}

/// Kind of fact that is none of this kind.
#[must_use]
pub(crate) fn other_kind(kind: FactKind) -> FactKind {
    match kind {
        FactKind::Vaccination => FactKind::Test,
        FactKind::Test => FactKind::Recovery,
        FactKind::Recovery => FactKind::Vaccination,
    }
}
