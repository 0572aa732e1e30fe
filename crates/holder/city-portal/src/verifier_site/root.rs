//! File that says which root key the verifier page pins.

use std::path::{Path, PathBuf};

use axum::body::Bytes;
use pass::keys::{PublicKey, read_jwk_set};
use pass::trust::TrustBundle;
use serde::Deserialize;
use serde_json::{Value, json};

/// Largest file, in bytes.
const MAX_ROOT_BYTES: u64 = 64 * 1024;

/// Sentence for the operator about a root that does not fit the registry.
pub(crate) const OTHER_ROOT: &str = "verifier.root is not the root of the registry's passes, so that \
                                     no door can check any: write what `city-registry keys root` \
                                     prints";

/// Mistake in `verifier.root`.
#[derive(Debug, thiserror::Error)]
pub enum RootMistake {
    /// File that cannot be read.
    #[error("verifier.root: {path} cannot be read: {error}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: settings::FileError,
    },
    /// File of another form.
    #[error(
        "verifier.root: {path} must be a JSON object of key (a P-256 public key as JWK), issuer \
         and zone, as `city-registry keys root` prints it"
    )]
    Form {
        /// Path of the file.
        path: PathBuf,
    },
    /// File with a private key, which no page may have.
    #[error("verifier.root: {path} holds a private key: write the public one only")]
    Private {
        /// Path of the file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct Root {
    key: Value,
    issuer: String,
    zone: String,
}

/// Root that the page pins.
#[derive(Debug)]
pub(super) struct PinnedRoot {
    /// File as the page fetches it.
    pub text: Bytes,
    key: PublicKey,
    issuer: String,
}

impl PinnedRoot {
    /// Returns whether a trust bundle is signed by the root, for its issuer.
    pub(super) fn signs(&self, bundle: &[u8]) -> bool {
        TrustBundle::open(bundle, &self.key, &self.issuer).is_ok()
    }
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<PinnedRoot, RootMistake> {
    let bytes = settings::read_regular_file(path, MAX_ROOT_BYTES);
    let bytes = bytes.map_err(|error| RootMistake::Unreadable {
        path: path.to_path_buf(),
        error,
    })?;
    let form = || RootMistake::Form {
        path: path.to_path_buf(),
    };
    let root: Root = serde_json::from_slice(&bytes).map_err(|_| form())?;
    if root.key.get("d").is_some() {
        return Err(RootMistake::Private {
            path: path.to_path_buf(),
        });
    }
    let set = json!({ "keys": [root.key] }).to_string();
    let keys = read_jwk_set(&set).map_err(|_| form())?;
    let is_zone = root.zone.parse::<chrono_tz::Tz>().is_ok();
    let key = keys
        .first()
        .copied()
        .filter(|_| is_zone && !root.issuer.is_empty());
    Ok(PinnedRoot {
        text: bytes.into(),
        key: key.ok_or_else(form)?,
        issuer: root.issuer,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pass::keys::SigningKey;

    use super::*;

    #[test]
    fn a_public_key_with_issuer_and_zone_is_taken_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("root.json");
        let read_value = |value: &Value| {
            fs::write(&path, value.to_string()).expect("a file");
            read(&path)
        };
        let key = SigningKey::generate().public().jwk();
        let root = |key: &Value, zone| json!({ "key": key, "issuer": "RU-MOW", "zone": zone });
        assert!(read_value(&root(&key, "Europe/Moscow")).is_ok());
        let mut private = key.clone();
        private["d"] = json!("AA");
        assert!(matches!(
            read_value(&root(&private, "Europe/Moscow")),
            Err(RootMistake::Private { .. })
        ));
        for wrong in [
            root(&key, "Moscow"),
            root(&json!("x"), "Europe/Moscow"),
            json!({ "key": key }),
            json!([]),
        ] {
            assert!(
                matches!(read_value(&wrong), Err(RootMistake::Form { .. })),
                "{wrong}"
            );
        }
        let absent = read(&folder.path().join("absent"));
        assert!(matches!(absent, Err(RootMistake::Unreadable { .. })));
    }
}
