//! The signed JWT by which a client of SMART Backend Services shows who it is (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// Time for which an assertion holds. SMART allows five minutes; one less, for clocks that differ.
const LIFETIME: TimeDelta = TimeDelta::minutes(4);
/// Random bytes of an assertion's own id (`jti`).
const ID_BYTES: usize = 16;

/// A private key that signs assertions.
pub(super) enum SigningKey {
    /// RSA of 2048 bits or more: RS384.
    Rsa(Box<RsaKeyPair>),
    /// The curve P-384: ES384.
    Ec(Box<EcdsaKeyPair>),
}

/// Contents of an assertion.
pub(super) struct Assertion<'a> {
    pub client_id: &'a str,
    pub key_id: &'a str,
    /// Address of the token endpoint (`aud`).
    pub audience: &'a str,
    pub now: DateTime<Utc>,
}

impl SigningKey {
    /// Reads a private key from PEM text.
    pub(super) fn read(pem: &SecretString) -> Result<Self, SourceError> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| bad_key("holds no PEM private key"))?;
        let random = SystemRandom::new();
        match &der {
            PrivateKeyDer::Pkcs1(rsa) => RsaKeyPair::from_der(rsa.secret_pkcs1_der())
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|_| bad_key("is no RSA key that can sign RS384")),
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                let suite = &ECDSA_P384_SHA384_FIXED_SIGNING;
                if let Ok(key) = EcdsaKeyPair::from_pkcs8(suite, key, &random) {
                    return Ok(Self::Ec(Box::new(key)));
                }
                RsaKeyPair::from_pkcs8(key)
                    .map(|key| Self::Rsa(Box::new(key)))
                    .map_err(|_| bad_key("is neither an RSA key nor one of the curve P-384"))
            }
            _ => Err(bad_key("is not in the form PKCS#8")),
        }
    }

    /// Name of the algorithm (RFC 7518).
    pub(super) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS384",
            Self::Ec(_) => "ES384",
        }
    }

    /// Signs an assertion: a JWT in its compact form.
    pub(super) fn sign(&self, assertion: &Assertion<'_>) -> Result<SecretString, SourceError> {
        let random = SystemRandom::new();
        let mut id = [0; ID_BYTES];
        random.fill(&mut id).map_err(|_| no_random())?;
        let head = json!({"alg": self.algorithm(), "typ": "JWT", "kid": assertion.key_id});
        let claims = json!({
            "iss": assertion.client_id,
            "sub": assertion.client_id,
            "aud": assertion.audience,
            "exp": (assertion.now + LIFETIME).timestamp(),
            "jti": URL_SAFE_NO_PAD.encode(id),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA384,
                    &random,
                    signed.as_bytes(),
                    &mut signature,
                )
                .map_err(|_| no_random())?;
                signature
            }
            Self::Ec(key) => key
                .sign(&random, signed.as_bytes())
                .map_err(|_| no_random())?
                .as_ref()
                .to_vec(),
        };
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(SecretString::from(format!("{signed}.{signature}")))
    }
}

fn bad_key(what: &str) -> SourceError {
    SourceError::misconfigured(
        format!("the key of auth.smart-backend.key {what}"),
        "give an unencrypted PEM key with -----BEGIN PRIVATE KEY-----: of RSA (2048 to 4096 bits, \
         signs RS384) or of the curve P-384 (signs ES384); openssl pkcs8 -topk8 -nocrypt writes \
         this form",
    )
}

fn no_random() -> SourceError {
    SourceError::retry("this machine has no random numbers to sign with")
}
