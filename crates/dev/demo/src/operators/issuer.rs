//! Issuer of one-use tokens, in this process: the registry's clinics have their tokens from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::ManualClock;
use key_client::{TokenClient, TokenIssuerConfig};
use oprf::TokenKey;
use registry::{TokenKeys, TokensConfig};
use toml::{Table, Value};

use super::audit_log::{Seen, seen};
use super::running::{LOOPBACK, Running};
use crate::files::{make_private_folder, write_secret};

/// Most tokens of batches that the issuer gives a clinic in a UTC day.
pub(crate) const DAILY_TOKENS: u32 = 512;

/// Number of the key for batches.
const BATCH_KEY: u16 = 1;

/// Number of the key for days.
const DAY_KEY: u16 = 2;

/// Issuer of tokens. Without certificates, as on this machine, it could not tell the clinics apart,
/// so that it has an address for each, with counts of its own; the keys are the same.
pub(crate) struct TokenIssuer {
    folder: PathBuf,
    batch: TokenKey,
    day: TokenKey,
    desks: Vec<Desk>,
}

/// Address for one clinic.
struct Desk {
    clinic: &'static str,
    url: String,
    /// Service at the address; `None` after it was stopped.
    running: Option<Running>,
}

impl TokenIssuer {
    /// Makes the keys, and starts an issuer for each clinic.
    pub(super) async fn start(
        folder: PathBuf,
        clinics: &[&'static str],
        clock: &Arc<ManualClock>,
    ) -> Result<Self, String> {
        make_private_folder(&folder)?;
        let batch = TokenKey::generate();
        let day = TokenKey::generate();
        for (number, key) in [(BATCH_KEY, &batch), (DAY_KEY, &day)] {
            write_secret(&folder.join(key_file(number)), &key.to_text())?;
        }
        let mut desks = Vec::with_capacity(clinics.len());
        for clinic in clinics {
            let file = format!("token-issuer-{clinic}.toml");
            let text = |address: SocketAddr| config_text(clinic, address);
            let running = Running::start(&folder, &file, LOOPBACK, text, clock).await?;
            desks.push(Desk {
                clinic,
                url: format!("http://{}", running.address()),
                running: Some(running),
            });
        }
        Ok(Self {
            folder,
            batch,
            day,
            desks,
        })
    }

    /// Public keys of batches and of days, as clinics pin them.
    pub(crate) fn public_keys(&self) -> [String; 2] {
        [&self.batch, &self.day].map(|key| key.public_key().to_string())
    }

    /// `[tokens]` of a clinic's gateway.
    pub(crate) fn section(&self, clinic: &str) -> Result<Table, String> {
        let url = &self.desk(clinic)?.url;
        let [batch, day] = self.public_keys();
        let text = format!(
            "url = \"{url}\"\nbatch = {{ key = {BATCH_KEY}, public_key = \"{batch}\" }}\nday = {{ \
             key = {DAY_KEY}, public_key = \"{day}\" }}\n"
        );
        text.parse().map_err(|error| format!("tokens: {error}"))
    }

    /// Client as a clinic's gateway has it.
    pub(crate) fn client(&self, clinic: &str) -> Result<TokenClient, String> {
        let config: Result<TokenIssuerConfig, _> = Value::Table(self.section(clinic)?).try_into();
        let config = config.map_err(|error| format!("tokens: {error}"))?;
        TokenClient::new(&config, Path::new(".")).map_err(|error| error.to_string())
    }

    /// Keys that the registry verifies by: the issuer's own. It takes no batch without a token.
    pub(crate) fn registry_keys(&self) -> Result<TokenKeys, String> {
        let entry = |number: u16, token_use: &str| {
            let file = key_file(number);
            format!("{{ number = {number}, key = {{ file = \"{file}\" }}, use = \"{token_use}\" }}")
        };
        let keys = [entry(BATCH_KEY, "batch"), entry(DAY_KEY, "day")].join(", ");
        let config: Result<TokensConfig, _> = toml::from_str(&format!("keys = [{keys}]"));
        let config = config.map_err(|error| format!("tokens: {error}"))?;
        TokenKeys::read(&config, &self.folder).map_err(|error| error.to_string())
    }

    /// Stops the issuer, which writes what it has counted.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        for desk in &mut self.desks {
            if let Some(running) = desk.running.take() {
                running.stop().await?;
            }
        }
        Ok(())
    }

    /// Each clinic, and what the issuer has written into its audit log about it.
    pub(crate) fn seen(&self) -> Result<Vec<(&'static str, Seen)>, String> {
        let desks = self.desks.iter();
        let each = desks.map(|desk| {
            let seen = seen(&self.folder.join(format!("audit-{}", desk.clinic)))?;
            Ok((desk.clinic, seen))
        });
        each.collect()
    }

    fn desk(&self, clinic: &str) -> Result<&Desk, String> {
        let mut desks = self.desks.iter();
        let desk = desks.find(|desk| desk.clinic == clinic);
        desk.ok_or_else(|| format!("the issuer does not know the clinic {clinic}"))
    }
}

fn key_file(number: u16) -> &'static str {
    match number {
        BATCH_KEY => "batch-1.key",
        _ => "day-2.key",
    }
}

fn config_text(clinic: &str, address: SocketAddr) -> String {
    let key = |number: u16, token_use: &str| {
        format!(
            "[[token_keys]]\nnumber = {number}\nkey = {{ file = \"{}\" }}\nuse = \
             \"{token_use}\"\n\n",
            key_file(number)
        )
    };
    format!(
        "[service]\nlisten = \"{address}\"\nstate = \"state-{clinic}\"\naudit = \
         \"audit-{clinic}\"\n\n{}{}[[clients]]\nname = \"{clinic}\"\ndaily_ceiling = \
         {DAILY_TOKENS}\n",
        key(BATCH_KEY, "batch"),
        key(DAY_KEY, "day")
    )
}
