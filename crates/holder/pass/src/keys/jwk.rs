//! JSON form of public keys: JWK sets (RFC 7517 section 5) of ES256 keys (RFC 7518 section 6.2).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::keys::{KeyFault, PublicKey};

/// Number of keys that a key set may have.
pub const MAX_JWK_SET_KEYS: usize = 256;

/// Number of bytes that the text of a key set may have.
pub const MAX_JWK_SET_BYTES: usize = 256 * 1024;

impl PublicKey {
    /// JWK of the key, with its use, algorithm and id.
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": BASE64_URL_SAFE_NO_PAD.encode(self.x()),
            "y": BASE64_URL_SAFE_NO_PAD.encode(self.y()),
            "alg": "ES256",
            "use": "sig",
            "kid": self.kid().to_string(),
        })
    }

    /// Root key with issuer and time zone of the passes, in the form that the verifier page pins.
    #[must_use]
    pub fn pinned(&self, issuer: &str, zone: &str) -> Value {
        json!({ "key": self.jwk(), "issuer": issuer, "zone": zone })
    }
}

/// Text of a JWK set with a line end.
#[must_use]
pub fn jwk_set(keys: &[PublicKey]) -> String {
    let keys: Vec<Value> = keys.iter().map(PublicKey::jwk).collect();
    let mut text = format!("{:#}", json!({ "keys": keys }));
    text.push('\n');
    text
}

/// Keys of a JWK set. A key's `alg`, `use` and `kid` may be missing; where they are there, they
/// must be those of an ES256 key that signs, and the id must be the key's own.
///
/// # Errors
/// The text is no JWK set, or too long, or which member of which key is not as wanted.
pub fn read_jwk_set(text: &str) -> Result<Vec<PublicKey>, KeyFault> {
    if text.len() > MAX_JWK_SET_BYTES {
        return Err(KeyFault::JwkSetTooLong);
    }
    let set: Value = serde_json::from_str(text).map_err(|_| KeyFault::JwkSet)?;
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or(KeyFault::JwkSet)?;
    if keys.len() > MAX_JWK_SET_KEYS {
        return Err(KeyFault::JwkSetTooLong);
    }
    keys.iter()
        .enumerate()
        .map(|(place, key)| read_jwk(place + 1, key))
        .collect()
}

fn read_jwk(number: usize, jwk: &Value) -> Result<PublicKey, KeyFault> {
    let member = |member: &str| jwk.get(member).and_then(Value::as_str);
    let fault = |member: &'static str, wanted: &'static str| KeyFault::Jwk {
        number,
        member,
        wanted,
    };
    for (name, wanted) in [("kty", "EC"), ("crv", "P-256")] {
        if member(name) != Some(wanted) {
            return Err(fault(name, wanted));
        }
    }
    for (name, wanted) in [("alg", "ES256"), ("use", "sig")] {
        if jwk.get(name).is_some() && member(name) != Some(wanted) {
            return Err(fault(name, wanted));
        }
    }
    let coordinate = |name: &'static str| {
        member(name)
            .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| fault(name, "32 bytes in base64url without padding"))
    };
    let key = PublicKey::new(coordinate("x")?, coordinate("y")?);
    if jwk.get("kid").is_some() && member("kid") != Some(&key.kid().to_string()) {
        return Err(fault(
            "kid",
            "the first 8 characters of the key's thumbprint",
        ));
    }
    Ok(key)
}
