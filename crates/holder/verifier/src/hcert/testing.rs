//! Issuers and certificates for tests, with any fault that is asked for.

use ciborium::{Value as Cbor, cbor};
use pass::container;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PSS_SHA256};
use serde_json::{Value, json};

use super::certificate::SignerCertificate;

/// RSA key that signs in tests only; ring cannot make one.
const RSA_KEY: &str = include_str!("../../tests/data/rsa-2048-test-only.pem");

/// 2021-05-03T18:00:00Z, when certificates of tests are issued.
pub(super) const ISSUED: i64 = 1_620_064_800;
/// 2021-06-03T18:00:00Z, when they expire.
pub(super) const EXPIRES: i64 = 1_622_743_200;

/// Object identifiers of the extended key usages.
pub(super) const TEST: &[u64] = &[1, 3, 6, 1, 4, 1, 1847, 2021, 1, 1];
pub(super) const VACCINATION: &[u64] = &[1, 3, 6, 1, 4, 1, 1847, 2021, 1, 2];
pub(super) const OLD_RECOVERY: &[u64] = &[1, 3, 6, 1, 4, 1, 0, 1847, 2021, 1, 3];
pub(super) const SERVER: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// Issuer of certificates.
pub(super) struct Issuer {
    key: Key,
    pub(super) der: Vec<u8>,
    pub(super) kid: Vec<u8>,
}

impl Issuer {
    pub(super) fn ec(usages: &[&[u64]]) -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &pair.serialize_der(),
            &SystemRandom::new(),
        );
        Self::with(Key::Ec(key.unwrap()), &pair, usages)
    }

    pub(super) fn rsa(usages: &[&[u64]]) -> Self {
        let pair = KeyPair::from_pem(RSA_KEY).unwrap();
        let key = RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap();
        Self::with(Key::Rsa(key), &pair, usages)
    }

    fn with(key: Key, pair: &KeyPair, usages: &[&[u64]]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(2021, 1, 1);
        params.not_after = date_time_ymd(2023, 1, 1);
        params.extended_key_usages = usages
            .iter()
            .map(|oid| ExtendedKeyUsagePurpose::Other(oid.to_vec()))
            .collect();
        let der = params.self_signed(pair).unwrap().der().to_vec();
        let kid = SignerCertificate::all_of(&der).unwrap()[0].kid.to_vec();
        Self { key, der, kid }
    }

    pub(super) fn signer(&self) -> SignerCertificate {
        SignerCertificate::all_of(&self.der).unwrap().remove(0)
    }

    pub(super) fn algorithm(&self) -> i64 {
        match self.key {
            Key::Ec(_) => -7,
            Key::Rsa(_) => -37,
        }
    }

    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ec(key) => key.sign(&random, signed).unwrap().as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PSS_SHA256, &random, signed, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

/// Certificate before it is signed; tests change what they are about.
pub(super) struct Draft {
    pub(super) dcc: Value,
    pub(super) issued: Cbor,
    pub(super) expires: Cbor,
    pub(super) algorithm: i64,
    pub(super) protected_kid: Option<Vec<u8>>,
    pub(super) unprotected_kid: Option<Vec<u8>>,
    pub(super) tags: Vec<u64>,
    /// Claims instead of those made of the other members.
    pub(super) claims: Option<Cbor>,
}

impl Draft {
    pub(super) fn of(issuer: &Issuer, dcc: Value) -> Self {
        Self {
            dcc,
            issued: Cbor::from(ISSUED),
            expires: Cbor::from(EXPIRES),
            algorithm: issuer.algorithm(),
            protected_kid: Some(issuer.kid.clone()),
            unprotected_kid: None,
            tags: vec![18],
            claims: None,
        }
    }

    fn payload(&self) -> Vec<u8> {
        let of_parts = || {
            let dcc = Cbor::serialized(&self.dcc).unwrap();
            let kinds = Cbor::Map(vec![(Cbor::from(1), dcc)]);
            Cbor::Map(vec![
                (Cbor::from(4), self.expires.clone()),
                (Cbor::from(6), self.issued.clone()),
                (Cbor::from(1), Cbor::from("AT")),
                (Cbor::from(-260), kinds),
            ])
        };
        encode(&self.claims.clone().unwrap_or_else(of_parts))
    }

    /// The signed message.
    pub(super) fn signed_by(&self, issuer: &Issuer) -> Vec<u8> {
        let kid = |kid: &Option<Vec<u8>>| kid.clone().map(|kid| (Cbor::from(4), Cbor::Bytes(kid)));
        let algorithm = (Cbor::from(1), Cbor::from(self.algorithm));
        let mut protected = vec![algorithm];
        protected.extend(kid(&self.protected_kid));
        let protected = Cbor::Bytes(encode(&Cbor::Map(protected)));
        let unprotected = Cbor::Map(kid(&self.unprotected_kid).into_iter().collect());
        let payload = Cbor::Bytes(self.payload());
        let signed = cbor!(["Signature1", protected, Cbor::Bytes(Vec::new()), payload]).unwrap();
        let signature = Cbor::Bytes(issuer.sign(&encode(&signed)));
        let message = Cbor::Array(vec![protected, unprotected, payload, signature]);
        let tagged = self.tags.iter().rev();
        encode(&tagged.fold(message, |inner, tag| Cbor::Tag(*tag, Box::new(inner))))
    }

    /// The text of the QR code.
    pub(super) fn text(&self, issuer: &Issuer) -> String {
        container::to_text(&self.signed_by(issuer))
    }
}

pub(super) fn encode(item: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(item, &mut bytes).unwrap();
    bytes
}

/// Health certificate of one vaccination.
pub(super) fn vaccination() -> Value {
    json!({
        "ver": "1.3.0",
        "nam": { "fn": "Ёлкина", "fnt": "ELKINA", "gn": "Анна", "gnt": "ANNA" },
        "dob": "1979-04-14",
        "v": [{
            "tg": "840539006", "vp": "1119305005", "mp": "EU/1/20/1528", "ma": "ORG-100030215",
            "dn": 2, "sd": 2, "dt": "2021-04-21", "co": "AT", "is": "Ministry",
            "ci": "URN:UVCI:01:AT:1"
        }]
    })
}

/// Health certificate of one recovery.
pub(super) fn recovery() -> Value {
    json!({
        "ver": "1.0.0",
        "nam": { "fnt": "ELKINA" },
        "dob": "1979-04-14",
        "r": [{
            "tg": "840539006", "fr": "2021-04-21", "co": "AT", "is": "Ministry",
            "df": "2021-05-01", "du": "2021-10-21", "ci": "URN:UVCI:01:AT:2"
        }]
    })
}
