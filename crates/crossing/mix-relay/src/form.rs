//! Form of a message: the outer seal, which the relay takes off, and what shows of a sealed batch
//! without a key.

use std::path::Path;

use contract::{
    OpenError, RELAY_SEAL_BYTES, RelayPrivateKey, SealError, SealedBatch, batch_id_of_whole,
    is_sealed_to_a_relay,
};
use settings::SecretError;

use crate::RelayConfig;

/// Reason why a message is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Longer than `mix.largest_batch_bytes`.
    TooLong,
    /// Without the first bytes or the length of a sealed batch.
    NotABatch,
    /// With an outer seal that none of the relay's keys takes off.
    OtherKey,
    /// Without an outer seal, where only batches with one are taken.
    NotSealed,
}

impl Refusal {
    pub(crate) const ALL: [Self; 4] = [
        Self::TooLong,
        Self::NotABatch,
        Self::OtherKey,
        Self::NotSealed,
    ];

    /// Word for metrics and the log.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::NotABatch => "not-a-batch",
            Self::OtherKey => "other-key",
            Self::NotSealed => "not-sealed",
        }
    }
}

/// Key of the relay that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Place that cannot be read.
    #[error("key {number} of relay.private_keys: {error}")]
    Secret {
        /// Number of the key in the list, from 1.
        number: usize,
        /// Reason.
        error: SecretError,
    },
    /// Text that is no key of a relay.
    #[error("key {number} of relay.private_keys: {error}; make one by `mix-relay keys new`")]
    Text {
        /// Number of the key in the list, from 1.
        number: usize,
        /// Reason.
        error: SealError,
    },
    /// Key that stands in the list twice.
    #[error(
        "key {number} of relay.private_keys is the same as one before it; is its file a copy of the \
         old key? Write each key once"
    )]
    Twice {
        /// Number of the second one in the list, from 1.
        number: usize,
    },
}

fn refuse_twice(keys: &[RelayPrivateKey]) -> Result<(), KeyError> {
    for (before, key) in keys.iter().enumerate() {
        let public = key.public();
        if keys[..before].iter().any(|other| other.public() == public) {
            let number = before + 1;
            return Err(KeyError::Twice { number });
        }
    }
    Ok(())
}

/// Reader of messages.
#[derive(Debug)]
pub(crate) struct Form {
    keys: Vec<RelayPrivateKey>,
    takes_unsealed: bool,
    /// Most bytes of a sealed batch.
    largest: usize,
}

impl Form {
    /// Reads the keys. Relative paths start from `base`.
    pub(crate) fn open(
        config: &RelayConfig,
        largest: usize,
        base: &Path,
    ) -> Result<Self, KeyError> {
        let sources = config.private_keys.iter().zip(1..);
        let keys = sources.map(|(source, number)| {
            let text = source.read(base);
            let text = text.map_err(|error| KeyError::Secret { number, error })?;
            RelayPrivateKey::from_text(&text).map_err(|error| KeyError::Text { number, error })
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        refuse_twice(&keys)?;
        Ok(Self {
            takes_unsealed: keys.is_empty() || config.take_unsealed,
            keys,
            largest,
        })
    }

    /// Public keys, in the order of the configuration.
    #[cfg(feature = "cli")]
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = contract::RelayPublicKey> {
        self.keys.iter().map(RelayPrivateKey::public)
    }

    /// Most bytes of a message.
    pub(crate) const fn largest_message(&self) -> usize {
        self.largest + RELAY_SEAL_BYTES
    }

    /// Reads a message's bytes as a batch: without the outer seal, and with the id in their clear
    /// header. `is_whole` is false where they are the beginning of a longer message.
    pub(crate) fn read(&self, bytes: &mut Vec<u8>, is_whole: bool) -> Result<SealedBatch, Refusal> {
        if !is_whole || bytes.len() > self.largest_message() {
            return Err(Refusal::TooLong);
        }
        let batch = match is_sealed_to_a_relay(bytes) {
            true => self.take_seal_off(bytes)?,
            false => self.take_unsealed(bytes)?,
        };
        if batch.bytes.len() > self.largest {
            return Err(Refusal::TooLong);
        }
        Ok(batch)
    }

    fn take_unsealed(&self, bytes: &mut Vec<u8>) -> Result<SealedBatch, Refusal> {
        let id = batch_id_of_whole(bytes).ok_or(Refusal::NotABatch)?;
        if !self.takes_unsealed {
            return Err(Refusal::NotSealed);
        }
        let bytes = std::mem::take(bytes);
        Ok(SealedBatch { id, bytes })
    }

    fn take_seal_off(&self, sealed: &[u8]) -> Result<SealedBatch, Refusal> {
        for key in &self.keys {
            match key.open(sealed) {
                Ok(batch) => return Ok(batch),
                Err(OpenError::Content | OpenError::Format) => return Err(Refusal::NotABatch),
                Err(OpenError::WrongKey | OpenError::NotAuthentic) => {}
            }
        }
        Err(Refusal::OtherKey)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use contract::{MAX_SEALED_BYTES, MIN_SEALED_BYTES, PrivateKey, RelaySealer};
    use secrecy::ExposeSecret as _;
    use settings::SecretSource;

    use super::*;

    /// Keys in files, and what a relay with them takes.
    struct Keys {
        folder: tempfile::TempDir,
        keys: Vec<RelayPrivateKey>,
    }

    impl Keys {
        fn new(count: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let keys: Vec<_> = (0..count).map(|_| RelayPrivateKey::generate()).collect();
            for (number, key) in keys.iter().enumerate() {
                let path = folder.path().join(number.to_string());
                fs::write(&path, key.to_text().expose_secret()).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            }
            Self { folder, keys }
        }

        fn form(&self, take_unsealed: bool, largest: usize) -> Form {
            let source = |number: usize| SecretSource::File(number.to_string().into());
            let config = RelayConfig {
                private_keys: (0..self.keys.len()).map(source).collect(),
                take_unsealed,
                ..RelayConfig::default()
            };
            Form::open(&config, largest, self.folder.path()).unwrap()
        }

        fn seal(&self, number: usize, batch: &SealedBatch) -> Vec<u8> {
            let sealer = RelaySealer::new(self.keys[number].public());
            sealer.seal(batch).unwrap().bytes
        }
    }

    fn batch(content: &[u8]) -> SealedBatch {
        PrivateKey::generate().public().seal(content).unwrap().0
    }

    fn read(form: &Form, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let batch = form.read(&mut bytes.to_vec(), true);
        batch.map(|batch| batch.bytes)
    }

    #[test]
    fn every_key_opens_and_what_no_key_opens_is_told_from_junk() {
        let keys = Keys::new(2);
        let form = keys.form(false, MAX_SEALED_BYTES);
        let batch = batch(b"content");
        for number in [0, 1] {
            let read = read(&form, &keys.seal(number, &batch));
            assert_eq!(read.as_ref(), Ok(&batch.bytes));
        }
        let other = Keys::new(1).seal(0, &batch);
        assert_eq!(read(&form, &other), Err(Refusal::OtherKey));
        assert_eq!(read(&form, &batch.bytes), Err(Refusal::NotSealed));
        let junk = SealedBatch {
            bytes: vec![7; 100],
            ..batch.clone()
        };
        assert_eq!(read(&form, &keys.seal(0, &junk)), Err(Refusal::NotABatch));
        assert_eq!(read(&form, b"CGO1"), Err(Refusal::NotABatch));
        let moving = keys.form(true, MAX_SEALED_BYTES);
        assert_eq!(read(&moving, &batch.bytes), Ok(batch.bytes.clone()));
        let without = Keys::new(0).form(false, MAX_SEALED_BYTES);
        assert_eq!(read(&without, &batch.bytes), Ok(batch.bytes.clone()));
        assert_eq!(
            read(&without, &keys.seal(0, &batch)),
            Err(Refusal::OtherKey)
        );
    }

    #[test]
    fn the_length_without_the_outer_seal_is_what_counts() {
        let keys = Keys::new(1);
        let shortest = batch(b"content");
        assert_eq!(shortest.bytes.len(), MIN_SEALED_BYTES);
        let form = keys.form(true, MIN_SEALED_BYTES);
        let sealed = keys.seal(0, &shortest);
        assert_eq!(sealed.len(), form.largest_message());
        assert_eq!(read(&form, &sealed), Ok(shortest.bytes.clone()));
        let cut = form.read(&mut sealed.clone(), false);
        assert_eq!(cut.map(|_| ()), Err(Refusal::TooLong));
        let tight = keys.form(true, MIN_SEALED_BYTES - 1);
        assert_eq!(read(&tight, &sealed), Err(Refusal::TooLong));
        assert_eq!(read(&tight, &shortest.bytes), Err(Refusal::TooLong));
    }

    #[test]
    fn a_key_that_is_none_is_named_by_its_number() {
        let keys = Keys::new(2);
        let path = keys.folder.path().join("1");
        fs::write(&path, PrivateKey::generate().to_text().expose_secret()).unwrap();
        let source = |number: &str| SecretSource::File(number.into());
        let config = RelayConfig {
            private_keys: vec![source("0"), source("1")],
            ..RelayConfig::default()
        };
        let error = Form::open(&config, 1, keys.folder.path()).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("key 2 of relay.private_keys") && told.contains("cgrs1:"),
            "{told}"
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let keys = Keys::new(2);
        fs::copy(keys.folder.path().join("0"), keys.folder.path().join("2")).unwrap();
        let source = |number: &str| SecretSource::File(number.into());
        let config = RelayConfig {
            private_keys: vec![source("0"), source("1"), source("2")],
            ..RelayConfig::default()
        };
        let error = Form::open(&config, 1, keys.folder.path()).unwrap_err();
        assert!(matches!(error, KeyError::Twice { number: 3 }), "{error}");
    }
}
