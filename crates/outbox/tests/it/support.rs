//! What the tests share: a folder with an outbox in it, drafts, and a registry that opens batches.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contract::{
    Body, ContentDigest, Draft, Event, Fact, FactKind, PartialDate, PrivateKey, Pseudonym, RecordDigest,
    Scheme, Subject, Suite, wire,
};
use outbox::{Leased, Outbox, OutboxError, OutboxOptions, Outcome, PageCommit, Settlement};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

pub const LEASE: Duration = Duration::from_secs(60);

/// Midday, plus that many seconds.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_625_140_800, 0).unwrap() + TimeDelta::seconds(seconds)
}

/// A folder to hold one outbox, and the registry's key.
pub struct Place {
    pub folder: TempDir,
    pub path: PathBuf,
    pub key: PrivateKey,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        Self { folder, path, key: PrivateKey::generate() }
    }

    pub fn options(&self) -> OutboxOptions {
        OutboxOptions::new(self.key.public(), "test")
    }

    pub async fn try_open(&self) -> Result<Outbox, OutboxError> {
        Outbox::open(&self.path, self.options(), at(0)).await
    }

    pub async fn open(&self) -> Outbox {
        self.try_open().await.unwrap()
    }

    /// `outbox.db<suffix>`.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("outbox.db{suffix}"))
    }

    /// Runs statements behind the outbox's back.
    pub async fn meddle(&self, sql: &str) {
        let options = SqliteConnectOptions::new().filename(&self.path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// What the registry reads from leased batches.
    pub fn opened(&self, leased: &[Leased]) -> Vec<Event> {
        let mut events = Vec::new();
        for one in leased {
            let (id, encoded) = self.key.open(&one.batch.bytes).unwrap();
            assert_eq!(id, one.batch.id);
            events.extend(wire::decode(&encoded).unwrap().into_iter().map(Result::unwrap));
        }
        events
    }

    /// Delivers all that is due, oldest batch first.
    pub async fn deliver_all(&self, outbox: &Outbox, now: DateTime<Utc>) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let leased = outbox.lease(7, now, LEASE).await.unwrap();
            if leased.is_empty() {
                return events;
            }
            events.extend(self.opened(&leased));
            let settled = outbox.settle(&delivered(&leased), now).await.unwrap();
            assert_eq!(settled.delivered, leased.len() as u64);
        }
    }
}

pub fn delivered(leased: &[Leased]) -> Vec<Settlement> {
    let settle =
        |one: &Leased| Settlement { id: one.batch.id, token: one.token, outcome: Outcome::Delivered };
    leased.iter().map(settle).collect()
}

pub fn failed(leased: &[Leased], retry_at: DateTime<Utc>) -> Vec<Settlement> {
    let outcome = Outcome::Failed { retry_at, reason: "broker-away" };
    leased.iter().map(|one| Settlement { id: one.batch.id, token: one.token, outcome }).collect()
}

pub fn digest(record: u32) -> RecordDigest {
    // Spread like a real digest.
    let mut bytes = [0; 32];
    for (place, chunk) in (1_u32..).zip(bytes.as_chunks_mut::<4>().0) {
        *chunk = record.wrapping_mul(2_654_435_761).wrapping_mul(place).to_be_bytes();
    }
    bytes[28..].copy_from_slice(&record.to_be_bytes());
    RecordDigest(bytes)
}

/// A recovery on a day that `content` names.
pub fn asserted(record: u32, content: u16) -> Draft {
    let pseudonym =
        Pseudonym { scheme: Scheme::Snils, suite: Suite::Hmac, epoch: 1, value: digest(!record).0 };
    let day = NaiveDate::from_ymd_opt(1950, 1, 1).unwrap() + TimeDelta::days(content.into());
    let occurred_on = PartialDate::from_day(day).unwrap();
    let fact = Fact::Recovery { began_on: None, occurred_on };
    let body = Body::Asserted { subject: Subject::new(vec![pseudonym]).unwrap(), fact };
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&content.to_be_bytes());
    Draft { record: digest(record), content: ContentDigest(bytes), body, only_if_sent: false }
}

pub fn withdrawn(record: u32, only_if_sent: bool) -> Draft {
    let body = Body::Withdrawn { kind: FactKind::Recovery };
    Draft { record: digest(record), content: ContentDigest([0xff; 16]), body, only_if_sent }
}

pub fn page(drafts: Vec<Draft>, resume: &str) -> PageCommit {
    PageCommit {
        source: "mis".into(),
        feed: "recoveries".into(),
        drafts,
        refused: Vec::new(),
        accepted_record_ids: Vec::new(),
        resume: Some(resume.into()),
        now: at(0),
    }
}
