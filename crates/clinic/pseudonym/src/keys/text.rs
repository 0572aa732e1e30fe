//! The text form of keys: one key a line, comments after `#`, errors by line number.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use contract::{Epoch, Suite};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::Zeroizing;

use super::{KEY_BYTES, Key, KeyError, KeyRing, SharedKeys, fingerprint};

/// base64url as in RFC 4648, section 5: written without padding, read with or without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// IdentifierFault of a line of a key file. Quotes nothing of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Neither form.
    #[error("expected `pseudonym EPOCH KEY` or `record KEY`")]
    Form,
    /// Epoch that is no number in range.
    #[error("the epoch must be a whole number from 1 to 65535, without leading zeros")]
    Epoch,
    /// Key that is not 32 bytes of base64url.
    #[error("the key must be 32 bytes in base64url, which is 43 characters")]
    Encoding,
    /// A key that anyone would guess.
    #[error("the key is one byte repeated; make one with `clinic-gateway keys new`")]
    Weak,
    /// A second record key.
    #[error("there is a record key already")]
    SecondRecordKey,
    /// The epoch again.
    #[error("there is a key for this epoch already")]
    SecondKeyOfEpoch,
    /// More epochs than may be open at once.
    #[error("more than two pseudonym epochs; close the oldest")]
    TooManyEpochs,
    /// A record key where only shared keys belong.
    #[error(
        "a record key is the clinic's own and never shared; take the line out, and make that \
         clinic a new one"
    )]
    RecordKeyShared,
}

/// Reads a clinic's keys. Where key services evaluate pseudonyms it needs no pseudonym key.
pub(super) fn parse_ring(text: &str, suite: Suite) -> Result<KeyRing, KeyError> {
    let (shared, record) = parse(text, true)?;
    if shared.0.is_empty() && suite != Suite::Voprf {
        return Err(KeyError::NoPseudonymKey);
    }
    Ok(KeyRing {
        shared,
        record: record.ok_or(KeyError::NoRecordKey)?,
    })
}

/// Reads shared keys.
pub(super) fn parse_shared(text: &str) -> Result<SharedKeys, KeyError> {
    let (shared, _) = parse(text, false)?;
    if shared.0.is_empty() {
        return Err(KeyError::NoPseudonymKey);
    }
    Ok(shared)
}

fn parse(text: &str, record_allowed: bool) -> Result<(SharedKeys, Option<Key>), KeyError> {
    let mut shared = SharedKeys(Vec::new());
    let mut record = None;
    for (index, line) in text.trim_start_matches('\u{FEFF}').lines().enumerate() {
        let at = |fault| KeyError::Line {
            line: index + 1,
            fault,
        };
        let content = line.split('#').next().unwrap_or_default();
        let mut words = content.split_whitespace();
        match [words.next(), words.next(), words.next(), words.next()] {
            [None, ..] => {}
            [Some("pseudonym"), Some(epoch), Some(key), None] => {
                let epoch = parse_epoch(epoch).map_err(at)?;
                let key = parse_key(key).map_err(at)?;
                add(&mut shared, epoch, key).map_err(at)?;
            }
            [Some("record"), Some(_), None, None] if !record_allowed => {
                return Err(at(KeyFault::RecordKeyShared));
            }
            [Some("record"), Some(key), None, None] => {
                let key = parse_key(key).map_err(at)?;
                if record.replace(key).is_some() {
                    return Err(at(KeyFault::SecondRecordKey));
                }
            }
            _ => return Err(at(KeyFault::Form)),
        }
    }
    Ok((shared, record))
}

fn add(shared: &mut SharedKeys, epoch: Epoch, key: Key) -> Result<(), KeyFault> {
    if shared.0.iter().any(|(held, _)| *held == epoch) {
        return Err(KeyFault::SecondKeyOfEpoch);
    }
    shared
        .insert(epoch, key)
        .map_err(|_| KeyFault::TooManyEpochs)
}

fn parse_epoch(word: &str) -> Result<Epoch, KeyFault> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
    word.parse().ok().filter(|_| plain).ok_or(KeyFault::Epoch)
}

fn parse_key(word: &str) -> Result<Key, KeyFault> {
    // The decoder wants room for its own upper estimate.
    let mut room = Zeroizing::new([0; KEY_BYTES + 4]);
    let len = BASE64URL
        .decode_slice(word, room.as_mut_slice())
        .map_err(|_| KeyFault::Encoding)?;
    if len != KEY_BYTES {
        return Err(KeyFault::Encoding);
    }
    let bytes = &room[..KEY_BYTES];
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(KeyFault::Weak);
    }
    Ok(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
        key.copy_from_slice(bytes)
    }))
}

/// Writes keys with their fingerprints; reserved in one piece, so that no grown-out copy stays in
/// memory.
pub(super) fn write(shared: &SharedKeys, record: Option<&Key>) -> SecretString {
    let mut text = Zeroizing::new(String::with_capacity(2048));
    text.push_str("# clinic-gateway keys: secret. Keep in a file only its owner may read.\n");
    text.push_str(
        "# Pseudonym keys are shared by all clinics of a city and its portal, and by nobody \
         else.\n",
    );
    for (epoch, key) in &shared.0 {
        push_line(&mut text, &format!("pseudonym {epoch}"), key);
    }
    if let Some(record) = record {
        text.push_str("# The record key is this clinic's own: never share it.\n");
        push_line(&mut text, "record", record);
    }
    SecretString::from(text.as_str())
}

fn push_line(text: &mut String, name: &str, key: &Key) {
    let encoded = Zeroizing::new(BASE64URL.encode(key.expose_secret()));
    writeln!(
        text,
        "{name} {} # fingerprint {}",
        encoded.as_str(),
        fingerprint(key)
    )
    .expect("a String takes any text");
}
