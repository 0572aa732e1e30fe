//! Join of relays' and registries' folders by the names of batches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use escrow::{
    Account, AuditorKey, BatchName, Entry, EscrowError, ListError, ReadSummary, Reader, RecordList,
    StatedRecord, Unreadable,
};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Accounts whose batches are looked for.
    pub accounts: BTreeSet<Account>,
    /// First UTC day of the period.
    pub from: NaiveDate,
    /// Last UTC day of the period.
    pub to: NaiveDate,
}

/// Counts of a join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of batches that the accounts sent in the period, each counted once.
    pub batches: usize,
    /// Number of these batches of which no registry has laid anything down: probes, batches that
    /// could not be read, and those that have not arrived yet.
    pub not_at_registry: usize,
    /// Number of batches that the accounts sent in the period, and before it for the first time.
    /// They are left out: they say what was said before.
    pub sent_before: usize,
    /// Number of batches that the accounts sent in the period, and another account as well. They
    /// are left out: whoever copies another's sealed batch must not have it undone.
    pub sent_by_others: usize,
    /// Number of records that the batches stated.
    pub records: usize,
}

/// Result of a join.
#[derive(Debug)]
pub struct Joined {
    /// Versions of records that the accounts stated.
    pub list: RecordList,
    /// Counts.
    pub counts: Counts,
    /// Parts of the folders that could not be read, each once.
    pub unreadable: Vec<Unreadable>,
    /// Accounts asked for of which no relay's folder has anything, on any day.
    pub unknown: BTreeSet<Account>,
}

/// Reason for which there is no join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Folder that cannot be read.
    #[error(transparent)]
    Folder(#[from] EscrowError),
    /// Folder of the other kind.
    #[error(
        "{} was laid down by {laid_down_by}: name relays' folders by --relay, registries' by \
         --registry",
        path.display()
    )]
    OtherKind {
        /// Path of the folder.
        path: PathBuf,
        /// Who has written it.
        laid_down_by: &'static str,
    },
    /// More records than a list may hold.
    #[error(transparent)]
    List(#[from] ListError),
}

/// Days on which the accounts asked for sent a batch, and who else did.
struct Sent {
    first: NaiveDate,
    in_period: bool,
    by_others: bool,
}

/// Finds the versions of records that the accounts stated in the period. A batch counts for the day
/// on which it was first sent.
///
/// # Errors
/// [`JoinError`].
pub fn join(
    key: &AuditorKey,
    relays: &[PathBuf],
    registries: &[PathBuf],
    asked: &Asked,
) -> Result<Joined, JoinError> {
    let mut unreadable = BTreeMap::new();
    let mut unknown = asked.accounts.clone();
    let mut sent = sent_by_asked(key, relays, asked, &mut unknown, &mut unreadable)?;
    if !sent.is_empty() {
        note_others(key, relays, asked, &mut sent)?;
    }
    let mut counts = Counts::default();
    let mut wanted = BTreeSet::new();
    for (batch, sent) in &sent {
        if !sent.in_period {
            continue;
        }
        if sent.by_others {
            counts.sent_by_others += 1;
        } else if sent.first < asked.from {
            counts.sent_before += 1;
        } else {
            wanted.insert(*batch);
        }
    }
    counts.batches = wanted.len();
    let mut found = BTreeSet::new();
    let mut records: Vec<StatedRecord> = Vec::new();
    for folder in registries {
        let mut is_relays = false;
        let summary = Reader::new(folder, key).read(|_, entry| match entry {
            Entry::Stated {
                batch,
                records: stated,
            } if wanted.contains(&batch) => {
                found.insert(batch);
                records.extend(stated);
            }
            Entry::Stated { .. } => {}
            Entry::SentBy { .. } => is_relays = true,
        })?;
        refuse_other_kind(is_relays, folder, "a relay")?;
        note_unreadable(summary, &mut unreadable);
    }
    counts.not_at_registry = wanted.len() - found.len();
    let list = RecordList::new(records)?;
    let ids: BTreeSet<[u8; 32]> = list.records().iter().map(|stated| stated.record).collect();
    counts.records = ids.len();
    Ok(Joined {
        list,
        counts,
        unreadable: unreadable.into_values().flatten().collect(),
        unknown,
    })
}

fn refuse_other_kind(
    is_other: bool,
    folder: &Path,
    laid_down_by: &'static str,
) -> Result<(), JoinError> {
    if !is_other {
        return Ok(());
    }
    let path = folder.to_owned();
    Err(JoinError::OtherKind { path, laid_down_by })
}

/// Parts that could not be read, by the file that they stand in.
type UnreadableByFile = BTreeMap<PathBuf, Vec<Unreadable>>;

fn note_unreadable(summary: ReadSummary, unreadable: &mut UnreadableByFile) {
    for part in summary.unreadable {
        unreadable.entry(part.path.clone()).or_default().push(part);
    }
}

/// Batches that the accounts asked for sent, on any day. Accounts that sent any are taken out of
/// `unknown`.
fn sent_by_asked(
    key: &AuditorKey,
    relays: &[PathBuf],
    asked: &Asked,
    unknown: &mut BTreeSet<Account>,
    unreadable: &mut UnreadableByFile,
) -> Result<BTreeMap<BatchName, Sent>, JoinError> {
    let mut all: BTreeMap<BatchName, Sent> = BTreeMap::new();
    for folder in relays {
        let mut is_registrys = false;
        let summary = Reader::new(folder, key).read(|day, entry| match entry {
            Entry::SentBy { account, batch } if asked.accounts.contains(&account) => {
                unknown.remove(&account);
                let sent = all.entry(batch).or_insert(Sent {
                    first: day,
                    in_period: false,
                    by_others: false,
                });
                sent.first = sent.first.min(day);
                sent.in_period |= (asked.from..=asked.to).contains(&day);
            }
            Entry::SentBy { .. } => {}
            Entry::Stated { .. } => is_registrys = true,
        })?;
        refuse_other_kind(is_registrys, folder, "a registry")?;
        note_unreadable(summary, unreadable);
    }
    Ok(all)
}

/// Notes which of the batches other accounts sent, too.
fn note_others(
    key: &AuditorKey,
    relays: &[PathBuf],
    asked: &Asked,
    all: &mut BTreeMap<BatchName, Sent>,
) -> Result<(), EscrowError> {
    for folder in relays {
        Reader::new(folder, key).read(|_, entry| {
            if let Entry::SentBy { account, batch } = entry
                && !asked.accounts.contains(&account)
                && let Some(sent) = all.get_mut(&batch)
            {
                sent.by_others = true;
            }
        })?;
    }
    Ok(())
}
