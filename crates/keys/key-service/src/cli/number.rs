//! Number of a key that is made: compared with the configuration beside it, and with the numbers
//! that keys have had.

use std::path::{Path, PathBuf};

use program::Failure;
use program::terminal::print_note;
use settings::SecretSource;

use super::config_file::load;
use crate::numbers::Numbers;
use crate::{Config, MAX_KEYS};

/// Kind of a key that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Evaluates pseudonyms.
    Pseudonyms,
    /// Issues tokens.
    Tokens,
}

impl KeyKind {
    /// Table of the configuration that such keys stand in.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Pseudonyms => "[[keys]]",
            Self::Tokens => "[[token_keys]]",
        }
    }
}

/// Refuses a number that another key of the configuration has or has had, and a kind of key that
/// the configuration takes none of. Where there is no configuration that can be read, a note says
/// that nothing was compared.
pub(super) fn check_number(config: &Path, number: u16, kind: KeyKind) -> Result<(), Failure> {
    let loaded = match load(config) {
        Ok(loaded) => loaded,
        Err(error) => {
            let reason = if config.exists() {
                error.to_string()
            } else {
                format!("there is no {}", config.display())
            };
            print_note(&format!(
                "the number {number} was compared with no configuration: {reason}; name it with \
                 --config, or see yourself that no key of the service has or had this number"
            ));
            return Ok(());
        }
    };
    let file = config.display();
    let entries = Entries::of(&loaded.config);
    if entries.kind != kind {
        return Err(Failure::Change(format!(
            "{file} has {}, and this would be a key for {}; {}",
            entries.kind.table(),
            kind.table(),
            match kind {
                KeyKind::Pseudonyms => "for a key of tokens give --tokens batch or --tokens day",
                KeyKind::Tokens => "leave --tokens out, or name the issuer's file with --config",
            }
        )));
    }
    let state = loaded.base.join(&loaded.config.service.state);
    let numbers = Numbers::read(&state).map_err(|error| Failure::by(error.may_pass(), error))?;
    let free = || entries.free(&numbers);
    if let Some(place) = entries.place(number) {
        return Err(Failure::Change(format!(
            "the number {number} is in use: {} of {file} has it for the key in {place}; {}",
            kind.table(),
            free()
        )));
    }
    if let Some(fingerprint) = numbers.get(number) {
        return Err(Failure::Change(format!(
            "the number {number} has named the key {fingerprint}, which is in {file} no more, and \
             a number never names another key later; {}",
            free()
        )));
    }
    if entries.places.len() >= MAX_KEYS {
        print_note(&format!(
            "{file} has {MAX_KEYS} keys, the most at once: take one out before you enter this one"
        ));
    }
    Ok(())
}

/// Entries of a configuration: numbers, and the places of their keys.
struct Entries {
    kind: KeyKind,
    places: Vec<(u16, String)>,
}

impl Entries {
    fn of(config: &Config) -> Self {
        let kind = if config.token_keys.is_empty() {
            KeyKind::Pseudonyms
        } else {
            KeyKind::Tokens
        };
        let keys = config.keys.iter();
        let keys = keys.map(|entry| (entry.number, place_of(&entry.key)));
        let token_keys = config.token_keys.iter();
        let token_keys = token_keys.map(|entry| (entry.number, place_of(&entry.key)));
        Self {
            kind,
            places: keys.chain(token_keys).collect(),
        }
    }

    fn place(&self, number: u16) -> Option<&str> {
        let mut places = self.places.iter();
        let found = places.find(|(taken, _)| *taken == number);
        found.map(|(_, place)| place.as_str())
    }

    /// Advice with the lowest number above all that were used.
    fn free(&self, numbers: &Numbers) -> String {
        let entered = self.places.iter().map(|(number, _)| *number).max();
        let highest = entered.max(numbers.highest()).unwrap_or(0);
        match highest.checked_add(1) {
            Some(free) => format!("give --number {free}, which no key has had"),
            None => "give a number that no key has had".to_owned(),
        }
    }
}

/// Place of a key, as the configuration writes it.
fn place_of(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => PathBuf::from(path).display().to_string(),
        SecretSource::Env(name) => format!("the variable {name}"),
        SecretSource::Credential(name) => format!("the credential {name}"),
    }
}
