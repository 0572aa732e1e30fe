//! Token issuer of a city, which each clinic asks as its gateway does.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clock::ManualClock;
use oprf::{Token, TokenBlinding, TokenKey};
use registry::{TokenKeyConfig, TokenKeyUse, TokenKeys, TokensConfig};
use secrecy::ExposeSecret as _;
use settings::SecretSource;

use super::door::{Door, Left};
use crate::relayed::secret;

/// Numbers of the keys, and the files that hold them.
const BATCH: u16 = 1;
const DAY: u16 = 2;
const BATCH_KEY: &str = "batch.key";
const DAY_KEY: &str = "day.key";

/// Sections of the keys in the configuration.
const KEYS: &str = r#"
[[token_keys]]
number = 1
key = { file = "../batch.key" }
use = "batch"
[[token_keys]]
number = 2
key = { file = "../day.key" }
use = "day"
"#;

/// Tokens of batches that a clinic asks for at once.
const AT_ONCE: usize = 16;

/// Private keys of an issuer.
pub(super) struct TokenKeyPair {
    pub(super) batch: TokenKey,
    pub(super) day: TokenKey,
}

/// Issuer that runs.
pub(super) struct Issuer {
    keys: TokenKeyPair,
    folder: PathBuf,
    /// By the place of the account.
    clinics: Vec<Client>,
}

/// Clinic that asks.
struct Client {
    door: Door,
    /// Tokens of batches that it has in hand.
    ahead: Vec<Token>,
}

/// What an issuer that has ended leaves.
pub(super) struct Issued {
    pub(super) keys: TokenKeyPair,
    /// By the place of the account.
    pub(super) left: Vec<Left>,
}

impl Issuer {
    /// Starts an issuer in a new folder, with a client for each of these accounts.
    pub(super) async fn start(
        folder: PathBuf,
        accounts: &[&str],
        clock: &Arc<ManualClock>,
    ) -> Self {
        fs::create_dir(&folder).unwrap();
        let keys = TokenKeyPair {
            batch: TokenKey::generate(),
            day: TokenKey::generate(),
        };
        for (file, key) in [(BATCH_KEY, &keys.batch), (DAY_KEY, &keys.day)] {
            secret(&folder.join(file), key.to_text().expose_secret());
        }
        let mut clinics = Vec::new();
        for account in accounts {
            clinics.push(Client {
                door: Door::open(&folder, account, KEYS, clock).await,
                ahead: Vec::new(),
            });
        }
        Self {
            keys,
            folder,
            clinics,
        }
    }

    /// Keys by which a registry verifies tokens: it reads the issuer's own files.
    pub(super) fn verifying(&self) -> TokenKeys {
        let entry = |number, file: &str, token_use| TokenKeyConfig {
            number,
            key: SecretSource::File(file.into()),
            token_use,
        };
        let config = TokensConfig {
            required: true,
            keys: vec![
                entry(BATCH, BATCH_KEY, TokenKeyUse::Batch),
                entry(DAY, DAY_KEY, TokenKeyUse::Day),
            ],
        };
        TokenKeys::read(&config, &self.folder).unwrap()
    }

    /// Token for the next batch of an account's clinic, which asks for some ahead.
    pub(super) async fn batch_token(&mut self, account: usize) -> Token {
        let clinic = &mut self.clinics[account];
        if clinic.ahead.is_empty() {
            let blinding = TokenBlinding::for_batches(&self.keys.batch.public_key(), AT_ONCE);
            clinic.ahead = clinic.ask(blinding.unwrap(), BATCH).await;
        }
        clinic.ahead.pop().unwrap()
    }

    /// Token of the day of an account's clinic.
    pub(super) async fn day_token(&mut self, account: usize) -> Token {
        let blinding = TokenBlinding::for_day(&self.keys.day.public_key());
        let tokens = self.clinics[account].ask(blinding, DAY).await;
        tokens.into_iter().next().unwrap()
    }

    /// Writes the counts of an hour that has ended.
    pub(super) fn step(&self) {
        self.clinics.iter().for_each(|clinic| clinic.door.step());
    }

    /// Ends in good order.
    pub(super) async fn end(self) -> Issued {
        let mut left = Vec::new();
        for clinic in self.clinics {
            left.push(clinic.door.end().await);
        }
        Issued {
            keys: self.keys,
            left,
        }
    }
}

impl Client {
    async fn ask(&mut self, blinding: TokenBlinding, key: u16) -> Vec<Token> {
        let answer = self.door.ask(blinding.request(key)).await;
        blinding.finalize(&answer, key).unwrap()
    }
}
