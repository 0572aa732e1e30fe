//! COSE_Sign1 (RFC 9052 section 4.2): what is signed, how it is sealed, how it is opened.

use ciborium::Value;
use coset::iana::{self, EnumI64};
use coset::{
    AsCborValue, CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder,
    RegisteredLabelWithPrivate, TaggedCborSerializable,
};

use super::limits::MAX_COSE_BYTES;
use crate::container::ContainerFault;

/// Tag of COSE_Sign1 (RFC 9052 section 2).
const TAG_SIGN1: u64 = 18;
/// Tag of a CWT (RFC 8392 section 6); the tag of COSE_Sign1 stands inside it.
const TAG_CWT: u64 = 61;

/// Algorithm that a protected header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with SHA-256 (RFC 9053 section 2.1), number -7.
    Es256,
    /// Another one, by its registered name or by its number.
    Other(String),
}

/// COSE_Sign1 that was opened; its signature was not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Algorithm that the protected header names.
    pub algorithm: Algorithm,
    /// Key id: of the protected header, or of the unprotected one where that has none.
    pub kid: Vec<u8>,
    /// Payload as it came.
    pub payload: Vec<u8>,
    /// Signature as it came; r and s of 32 bytes each where the algorithm is ES256.
    pub signature: Vec<u8>,
    /// Bytes that the signature covers: the Sig_structure (RFC 9052 section 4.4) with empty
    /// external data.
    pub signed: Vec<u8>,
}

impl Envelope {
    /// Opens a COSE_Sign1 that is untagged, or tagged 18, or tagged 61 and 18.
    ///
    /// # Errors
    /// The first fault of CBOR, tags, structure, or headers.
    pub fn open(cose: &[u8]) -> Result<Self, ContainerFault> {
        let item = without_tags(read_item(cose)?)?;
        let sign1 = match CoseSign1::from_cbor_value(item) {
            Ok(sign1) => sign1,
            Err(fault) => return Err(named(cose, &fault)),
        };
        let critical = |header: &Header| !header.crit.is_empty();
        if critical(&sign1.protected.header) || critical(&sign1.unprotected) {
            return Err(ContainerFault::Critical);
        }
        let signed = sign1.tbs_data(&[]);
        let protected = sign1.protected.header;
        let kid = [protected.key_id.clone(), sign1.unprotected.key_id]
            .into_iter()
            .find(|kid| !kid.is_empty())
            .ok_or(ContainerFault::KeyIdMissing)?;
        let algorithm = algorithm_of(&protected)?;
        Ok(Self {
            algorithm,
            kid,
            payload: sign1.payload.ok_or(ContainerFault::PayloadMissing)?,
            signature: sign1.signature,
            signed,
        })
    }

    /// Opens a COSE_Sign1 that is signed by ES256 and refuses every other algorithm.
    ///
    /// # Errors
    /// As [`Envelope::open`], and the algorithm's name where it is another one.
    pub fn open_es256(cose: &[u8]) -> Result<Self, ContainerFault> {
        let envelope = Self::open(cose)?;
        match envelope.algorithm {
            Algorithm::Es256 => Ok(envelope),
            Algorithm::Other(name) => Err(ContainerFault::Algorithm(name)),
        }
    }
}

/// COSE_Sign1 that waits for its signature.
pub struct ToSign {
    sign1: CoseSign1,
}

impl ToSign {
    /// Payload with the protected header {1: -7, 4: kid} and an empty unprotected one.
    #[must_use]
    pub fn new(payload: Vec<u8>, kid: &[u8]) -> Self {
        let protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::ES256)
            .key_id(kid.to_vec())
            .build();
        let sign1 = CoseSign1Builder::new()
            .protected(protected)
            .payload(payload)
            .build();
        Self { sign1 }
    }

    /// Bytes to sign: the Sig_structure (RFC 9052 section 4.4) with empty external data.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        self.sign1.tbs_data(&[])
    }

    /// The COSE_Sign1 with its signature, under tag 18.
    ///
    /// # Panics
    /// Never: the structure has only values that CBOR can say.
    #[must_use]
    pub fn with_signature(mut self, signature: &[u8; 64]) -> Vec<u8> {
        self.sign1.signature = signature.to_vec();
        self.sign1
            .to_tagged_vec()
            .expect("integers and byte strings are encoded")
    }
}

fn read_item(cose: &[u8]) -> Result<Value, ContainerFault> {
    if cose.len() > MAX_COSE_BYTES {
        return Err(ContainerFault::CoseTooLong);
    }
    let mut rest = cose;
    let item = ciborium::from_reader(&mut rest).map_err(|_| ContainerFault::Cbor)?;
    if rest.is_empty() {
        Ok(item)
    } else {
        Err(ContainerFault::CborTrailing)
    }
}

fn without_tags(item: Value) -> Result<Value, ContainerFault> {
    let inner = match item {
        Value::Tag(TAG_CWT, inner) => match *inner {
            Value::Tag(TAG_SIGN1, inner) => *inner,
            Value::Tag(other, _) => return Err(ContainerFault::Tag(other)),
            _ => return Err(ContainerFault::Tag(TAG_CWT)),
        },
        Value::Tag(TAG_SIGN1, inner) => *inner,
        untagged => untagged,
    };
    match inner {
        Value::Tag(other, _) => Err(ContainerFault::Tag(other)),
        sign1 => Ok(sign1),
    }
}

fn algorithm_of(protected: &Header) -> Result<Algorithm, ContainerFault> {
    match &protected.alg {
        None => Err(ContainerFault::AlgorithmMissing),
        Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256)) => Ok(Algorithm::Es256),
        Some(RegisteredLabelWithPrivate::Assigned(other)) => {
            Ok(Algorithm::Other(format!("{other:?}")))
        }
        Some(RegisteredLabelWithPrivate::PrivateUse(number)) => {
            Ok(Algorithm::Other(format!("algorithm {number}")))
        }
        Some(RegisteredLabelWithPrivate::Text(name)) => {
            Ok(Algorithm::Other(format!("algorithm {name:?}")))
        }
    }
}

/// Fault of a structure that coset refused. It refuses an algorithm number that is not registered
/// with the same error as other values, so the number is looked up here and named.
fn named(cose: &[u8], fault: &coset::CoseError) -> ContainerFault {
    let number = read_item(cose).and_then(without_tags).ok();
    match number.as_ref().and_then(algorithm_number) {
        Some(number) if iana::Algorithm::from_i64(number).is_none() => {
            ContainerFault::Algorithm(format!("algorithm {number}"))
        }
        _ => ContainerFault::NotSign1(fault.to_string()),
    }
}

fn algorithm_number(sign1: &Value) -> Option<i64> {
    let protected = sign1.as_array()?.first()?.as_bytes()?;
    let header = Value::from_slice(protected).ok()?;
    let entries = header.as_map()?;
    let algorithm = entries
        .iter()
        .find(|entry| entry.0 == Value::from(iana::HeaderParameter::Alg.to_i64()))?;
    i64::try_from(algorithm.1.as_integer()?).ok()
}
