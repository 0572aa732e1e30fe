//! The pinned root: its key, and where the file says so the city whose passes it stands for.

use std::path::Path;

use pass::keys::{KeyFault, PublicKey, read_jwk_set};
use serde_json::{Value, json};

use crate::input::{InputError, Source};

/// Text that names the city in passes, where neither an argument nor the file of the root says
/// another.
const DEFAULT_ISSUER: &str = "RU-MOW";

/// Root that a verifier pins.
pub(super) struct Root {
    /// Key that signs trust bundles.
    pub(super) key: PublicKey,
    /// Text that names the city as the issuer in every pass.
    pub(super) issuer: String,
}

impl Root {
    /// Reads a JWK, a JWK set with one key, or the `root.json` of the page, which has the JWK as
    /// its `key` and names the issuer. An issuer that was given as an argument comes first.
    pub(super) fn read(path: &Path, issuer: Option<&str>) -> Result<Self, InputError> {
        let source = Source::of(path);
        let unfit = |words: String| InputError::Unfit(source.name(), words);
        let value: Value = serde_json::from_str(&source.read_text()?).map_err(|_| {
            unfit("this is no JSON; give the root's public key as a JWK, or root.json".to_owned())
        })?;
        let key = key(&value).map_err(unfit)?;
        let named = value.get("issuer").and_then(Value::as_str);
        Ok(Self {
            key,
            issuer: issuer.or(named).unwrap_or(DEFAULT_ISSUER).to_owned(),
        })
    }
}

fn key(value: &Value) -> Result<PublicKey, String> {
    let (jwk, place) = match (value.get("key"), value.get("keys")) {
        (Some(of_page), _) => (of_page, "`key`"),
        (None, Some(Value::Array(keys))) => match keys.as_slice() {
            [only] => (only, "the key of the set"),
            keys => {
                let count = keys.len();
                return Err(format!(
                    "there are {count} keys, where the one root key is wanted"
                ));
            }
        },
        (None, _) => (value, "the JWK"),
    };
    if jwk.get("kty").is_none() {
        return Err(
            "there is no root key in it: neither is it a JWK (with `kty`, `crv`, `x`, `y`), nor \
             has it one as `key`, as root.json, or as the only one of `keys`"
                .to_owned(),
        );
    }
    if jwk.get("d").is_some() {
        return Err(
            "it holds the private key (`d`), which must never lie at a door: give the public one"
                .to_owned(),
        );
    }
    let keys = read_jwk_set(&json!({ "keys": [jwk] }).to_string());
    match keys.as_deref() {
        Ok([root]) => Ok(*root),
        Ok(_) => Err("there is no root key in it".to_owned()),
        Err(KeyFault::Jwk { member, wanted, .. }) => {
            Err(format!("{place}: `{member}` must be {wanted}"))
        }
        Err(fault) => Err(fault.to_string()),
    }
}
