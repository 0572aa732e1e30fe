//! What is laid down for the auditor: which account sent which batch, on the disk before the batch
//! is published.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use escrow::{
    Account, AuditorPublicKey, BatchName, Entry, EscrowError, KeyError, NameError, Writer,
};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use crate::config::EscrowConfig;

/// Reason for which the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EscrowFolderError {
    /// Text that is no public key of an auditor.
    #[error("escrow.public_key: {0}")]
    Key(#[from] KeyError),
    /// Name of an account that no entry can hold.
    #[error("[[accounts]]: {0}")]
    Name(#[from] NameError),
    /// Folder that cannot be read or written.
    #[error("escrow.folder: {0}")]
    Folder(#[from] EscrowError),
}

impl EscrowFolderError {
    /// True if the cause may pass without anybody changing the configuration.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Folder(error) if error.may_pass())
    }
}

/// Writer of the senders' entries.
#[derive(Debug)]
pub(crate) struct Senders {
    writer: Arc<Mutex<Writer>>,
    /// Names in the order of the configuration.
    accounts: Vec<Account>,
}

impl Senders {
    /// Opens the folder, which is made where it is missing.
    pub(crate) fn open<'a>(
        config: &EscrowConfig,
        base: &Path,
        accounts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, EscrowFolderError> {
        let key = AuditorPublicKey::from_text(&config.public_key)?;
        let accounts: Result<_, NameError> = accounts.into_iter().map(Account::new).collect();
        let most_bytes = u64::from(config.max_mib.get()) << 20;
        let writer = Writer::open(&base.join(&config.folder), &key, most_bytes)?;
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            accounts: accounts?,
        })
    }

    /// Returns whether anything more may be laid down.
    #[cfg(feature = "cli")]
    pub(crate) fn check_room(&self) -> Result<(), EscrowError> {
        self.writer.lock().check_room()
    }

    /// Entry of a batch's sealed bytes.
    pub(crate) fn entry(&self, account: usize, sealed: &[u8]) -> Entry {
        Entry::SentBy {
            account: self.accounts[account].clone(),
            batch: BatchName::of(sealed),
        }
    }

    /// Lays entries down. `Ok` once they are on the disk.
    pub(crate) async fn lay_down(
        &self,
        now: DateTime<Utc>,
        entries: Vec<Entry>,
    ) -> Result<(), EscrowError> {
        let writer = Arc::clone(&self.writer);
        let appending = spawn_blocking(move || writer.lock().append(now, &entries));
        match appending.await {
            Ok(outcome) => outcome,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
