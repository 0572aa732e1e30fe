//! Shared parts of the tests: a folder with an outbox in it, drafts, and a registry that opens
//! batches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contract::{
    Body, ContentDigest, Event, Fact, FactKind, PartialDate, PrivateKey, Pseudonym, RecordDigest,
    Scheme, Subject, Suite, Version, wire,
};
use draft::Draft;
use outbox::{
    Committed, DeliveryOutcome, Leased, Outbox, OutboxError, OutboxOptions, PageCommit, Pulled,
    Settlement, SourceStamp, SweepEnd, SweepKind, SweepLimits, SweepStep,
};
use record_secrets::{RecordSecrets, Revision};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Time at midday, plus that many seconds.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_625_140_800, 0).unwrap() + TimeDelta::seconds(seconds)
}

/// Secrets of the clinic.
pub(crate) fn secrets() -> RecordSecrets {
    RecordSecrets::new(&[0x0b; 32])
}

pub(crate) const fn revision(generation: u32, count: u32) -> Revision {
    Revision { generation, count }
}

/// Version that stands for a revision of the record.
pub(crate) fn version(record: u32, generation: u32, count: u32) -> Version {
    let revision = revision(generation, count);
    secrets().version(&digest(record), revision).unwrap()
}

/// Revision that the event's version stands for.
pub(crate) fn revision_of(event: &Event) -> Revision {
    secrets().revision(&event.record, event.version).unwrap()
}

/// A folder to hold one outbox, and the registry's key.
pub(crate) struct Place {
    pub folder: TempDir,
    pub path: PathBuf,
    pub key: PrivateKey,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        Self {
            folder,
            path,
            key: PrivateKey::generate(),
        }
    }

    pub(crate) fn options(&self) -> OutboxOptions {
        OutboxOptions::new(self.key.public(), secrets(), "test")
    }

    /// Opens it for a registry that sends receipts, with the first resend after a minute.
    pub(crate) async fn open_with_receipts(&self) -> Outbox {
        let resend_after = Duration::from_secs(60);
        let options = OutboxOptions {
            receipts: true,
            resend_after,
            ..self.options()
        };
        Outbox::open(&self.path, options, at(0)).await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Outbox, OutboxError> {
        Outbox::open(&self.path, self.options(), at(0)).await
    }

    pub(crate) async fn open(&self) -> Outbox {
        self.try_open().await.unwrap()
    }

    /// `outbox.db<suffix>`.
    pub(crate) fn sibling(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("outbox.db{suffix}"))
    }

    /// Runs statements behind the outbox's back.
    pub(crate) async fn meddle(&self, sql: &str) {
        let options = SqliteConnectOptions::new().filename(&self.path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// Sets the revision of a stored record behind the outbox's back, as if it had come so far.
    pub(crate) async fn set_revision(&self, record: u32, revision: Revision) {
        const SLOT_BYTES: usize = 69;
        const REVISION_AT: usize = 32 + 16;
        let digest = hex::encode_upper(digest(record).0);
        let Revision { generation, count } = revision;
        let before = format!("instr(hex(slots), '{digest}') / 2 + {REVISION_AT}");
        self.meddle(&format!(
            "UPDATE record_block SET slots = unhex(hex(substr(slots, 1, {before})) || \
             '{generation:08x}{count:08x}' || hex(substr(slots, {before} + 9))) \
             WHERE instr(hex(slots), '{digest}') % {} = 1",
            2 * SLOT_BYTES
        ))
        .await;
    }

    /// Events that the registry reads from leased batches.
    pub(crate) fn opened(&self, leased: &[Leased]) -> Vec<Event> {
        let mut events = Vec::new();
        for one in leased {
            let opened = self.key.open(&one.batch.bytes).unwrap();
            assert_eq!(opened.id, one.batch.id);
            let decoded = wire::decode(&opened.encoded).unwrap().into_iter();
            events.extend(decoded.map(Result::unwrap).inspect(|event: &Event| {
                assert_eq!(
                    event.owner,
                    secrets().owner(&event.record),
                    "always the same"
                );
            }));
        }
        events
    }

    /// Delivers all that is due, oldest batch first.
    pub(crate) async fn deliver_all(&self, outbox: &Outbox, now: DateTime<Utc>) -> Vec<Event> {
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

pub(crate) fn delivered(leased: &[Leased]) -> Vec<Settlement> {
    let settle = |one: &Leased| Settlement {
        id: one.batch.id,
        token: one.token,
        outcome: DeliveryOutcome::Delivered,
    };
    leased.iter().map(settle).collect()
}

pub(crate) fn failed(leased: &[Leased], retry_at: DateTime<Utc>) -> Vec<Settlement> {
    let outcome = DeliveryOutcome::Failed {
        retry_at,
        reason: "broker-away",
    };
    leased
        .iter()
        .map(|one| Settlement {
            id: one.batch.id,
            token: one.token,
            outcome,
        })
        .collect()
}

pub(crate) fn digest(record: u32) -> RecordDigest {
    // Spread like a real digest.
    let mut bytes = [0; 32];
    for (place, chunk) in (1_u32..).zip(bytes.as_chunks_mut::<4>().0) {
        *chunk = record
            .wrapping_mul(2_654_435_761)
            .wrapping_mul(place)
            .to_be_bytes();
    }
    bytes[28..].copy_from_slice(&record.to_be_bytes());
    RecordDigest(bytes)
}

/// Statement of a recovery on a day that `content` names.
pub(crate) fn asserted_body(record: u32, content: u16) -> Body {
    let pseudonym = Pseudonym {
        scheme: Scheme::Snils,
        suite: Suite::Hmac,
        epoch: 1,
        value: digest(!record).0,
    };
    let day = NaiveDate::from_ymd_opt(1950, 1, 1).unwrap() + TimeDelta::days(content.into());
    let occurred_on = PartialDate::from_day(day).unwrap();
    let fact = Fact::Recovery {
        began_on: None,
        occurred_on,
    };
    Body::Asserted {
        subject: Subject::new(vec![pseudonym]).unwrap(),
        fact,
    }
}

/// Draft of a recovery on a day that `content` names.
pub(crate) fn asserted(record: u32, content: u16) -> Draft {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&content.to_be_bytes());
    Draft {
        record: digest(record),
        content: ContentDigest(bytes),
        body: asserted_body(record, content).into(),
        only_if_sent: false,
        class: None,
    }
}

pub(crate) fn withdrawn(record: u32, only_if_sent: bool) -> Draft {
    let body = Body::Withdrawn {
        kind: FactKind::Recovery,
    };
    Draft {
        record: digest(record),
        content: ContentDigest([0xff; 16]),
        body: body.into(),
        only_if_sent,
        class: None,
    }
}

pub(crate) fn page(drafts: Vec<Draft>, resume: &str) -> PageCommit {
    PageCommit {
        source: "mis".into(),
        feed: "recoveries".into(),
        drafts: drafts
            .into_iter()
            .map(|draft| Pulled { draft, stamp: None })
            .collect(),
        refused: Vec::new(),
        accepted_record_ids: Vec::new(),
        names: Vec::new(),
        resume: Some(resume.into()),
        generation_at_read: None,
        sweep: None,
        evaluator: None,
        now: at(0),
    }
}

/// Withdraws whatever is missing.
pub(crate) const FREELY: SweepLimits = SweepLimits {
    percent: 100,
    always: 1_000_000,
};

/// A clinic's table: content and stamp of each row; and the rows whose content cannot become an
/// event.
#[derive(Default, Clone)]
pub(crate) struct Source {
    pub rows: BTreeMap<u32, (u16, SourceStamp)>,
    pub bad: BTreeSet<u32>,
    /// True if its sweeps read whole rows.
    pub contents: bool,
}

impl Source {
    /// Rows of content 1, stamped with their own number.
    pub(crate) fn of(records: impl IntoIterator<Item = u32>) -> Self {
        let row = |record: u32| (record, (1, Some(i64::from(record))));
        Self {
            rows: records.into_iter().map(row).collect(),
            bad: BTreeSet::new(),
            contents: false,
        }
    }

    /// Kind of its sweeps.
    fn sweep_kind(&self) -> SweepKind {
        if self.contents {
            SweepKind::Contents
        } else {
            SweepKind::Keys
        }
    }

    /// Page of these rows.
    pub(crate) fn page(&self, records: impl IntoIterator<Item = u32>) -> PageCommit {
        let mut all = page(Vec::new(), "pulled");
        for record in records {
            let Some((content, stamp)) = self.rows.get(&record).copied() else {
                continue;
            };
            if self.bad.contains(&record) {
                let record_id = record.to_string();
                let record = digest(record);
                all.refused.push(outbox::Refused {
                    value: None,
                    record_id,
                    reason: "bad-snils",
                    record,
                    stamp,
                });
            } else {
                all.drafts.push(Pulled {
                    draft: asserted(record, content),
                    stamp,
                });
                all.accepted_record_ids.push(record.to_string());
                all.names.push(name_of(record));
            }
        }
        all
    }

    pub(crate) async fn pull(&self, outbox: &Outbox) -> Committed {
        outbox
            .commit_page(self.page(self.rows.keys().copied()))
            .await
            .unwrap()
    }

    /// Reads a page of keys, or of whole rows, after the stored cursor, as a gateway reads it; true
    /// when all are read.
    pub(crate) async fn sweep_page(&self, outbox: &Outbox, limit: usize) -> (bool, Vec<u32>) {
        let sweep = outbox
            .begin_or_resume_sweep("mis", "recoveries", self.sweep_kind(), at(0))
            .await
            .unwrap();
        if sweep.all_read {
            return (true, Vec::new());
        }
        let reads_contents = sweep.reads_contents();
        let kind = sweep.kind;
        let after = sweep
            .cursor
            .map_or(-1, |cursor| cursor.parse::<i64>().unwrap());
        let rest = self
            .rows
            .iter()
            .filter(|(record, _)| i64::from(**record) > after);
        let rows: Vec<(u32, SourceStamp)> = rest
            .map(|(record, (_, stamp))| (*record, *stamp))
            .take(limit)
            .collect();
        let cursor = (rows.len() == limit).then(|| rows.last().unwrap().0.to_string());
        let all_read = cursor.is_none();
        if reads_contents {
            let read: Vec<u32> = rows.iter().map(|(record, _)| *record).collect();
            let step = SweepStep::of_contents(rows.len() as u64, cursor);
            let page = PageCommit {
                resume: None,
                sweep: Some(step),
                ..self.page(read.clone())
            };
            outbox.commit_page(page).await.unwrap();
            return (all_read, read);
        }
        let keys: Vec<_> = rows
            .iter()
            .map(|(record, stamp)| (digest(*record), *stamp))
            .collect();
        let mut found = outbox
            .sweep_look_up("mis", "recoveries", &keys)
            .await
            .unwrap();
        if kind == SweepKind::Keys {
            found.reread.append(&mut found.unstamped);
        }
        let reread: Vec<u32> = found.reread.iter().map(|place| rows[*place].0).collect();
        let name = |place: &usize| (digest(rows[*place].0), rows[*place].0.to_string());
        let step = SweepStep {
            letter_names: found.unnamed_letters.iter().map(name).collect(),
            record_names: found
                .unnamed_records
                .iter()
                .map(|place| name_of(rows[*place].0))
                .collect(),
            seen: found.seen,
            cursor,
            ..SweepStep::default()
        };
        let page = PageCommit {
            resume: None,
            sweep: Some(step),
            ..self.page(reread.clone())
        };
        outbox.commit_page(page).await.unwrap();
        (all_read, reread)
    }

    /// Reads all keys or rows of one pass; returns the rows that were read whole.
    pub(crate) async fn sweep_pass(&self, outbox: &Outbox) -> Vec<u32> {
        let mut reread = Vec::new();
        loop {
            let (all_read, some) = self.sweep_page(outbox, 7).await;
            reread.extend(some);
            if all_read {
                return reread;
            }
        }
    }

    /// Sweeps both passes, if it takes both.
    pub(crate) async fn sweep(&self, outbox: &Outbox, limits: SweepLimits) -> SweepEnd {
        self.sweep_pass(outbox).await;
        let end = finish(outbox, limits).await.unwrap();
        if !matches!(end, SweepEnd::LookAgain { .. }) {
            return end;
        }
        self.sweep_pass(outbox).await;
        finish(outbox, limits).await.unwrap()
    }
}

/// Name of a row of the clinic.
pub(crate) fn name_of(record: u32) -> outbox::RecordName {
    outbox::RecordName {
        record: digest(record),
        record_id: record.to_string(),
    }
}

/// Ends a pass as a gateway does whose source has none of the missing rows.
pub(crate) async fn finish(outbox: &Outbox, limits: SweepLimits) -> Result<SweepEnd, OutboxError> {
    let end = outbox
        .finish_sweep_pass("mis", "recoveries", limits, at(0))
        .await?;
    if !matches!(end, SweepEnd::Missing { .. }) {
        return Ok(end);
    }
    let mut after = None;
    loop {
        let missing = outbox
            .missing_records("mis", "recoveries", after.as_ref(), 3)
            .await?;
        outbox
            .withdraw_missing("mis", "recoveries", FactKind::Recovery, &missing, at(0))
            .await?;
        after = missing.last().cloned();
        if after.is_none() {
            return outbox.end_sweep("mis", "recoveries", at(0)).await;
        }
    }
}
