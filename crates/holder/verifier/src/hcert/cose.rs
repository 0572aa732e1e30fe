//! The signed message: tags, `COSE_Sign1` and its headers (RFC 9052); no signature is checked.

use ciborium::Value;
use thiserror::Error;

use super::cbor::{self, CborFault, entry};
use super::report::{Report, Step};

/// Tag of a `COSE_Sign1` message (RFC 9052, section 2).
const SIGN1_TAG: u64 = 18;
/// Tag of a CBOR Web Token (RFC 8392, section 6).
const CWT_TAG: u64 = 61;

/// Label of the header parameter "algorithm" (RFC 9052, section 3.1).
const ALGORITHM: i64 = 1;
/// Label of the header parameter "critical" (RFC 9052, section 3.1).
const CRITICAL: i64 = 2;
/// Label of the header parameter "key identifier" (RFC 9052, section 3.1).
const KID: i64 = 4;

/// Context of the signature of a `COSE_Sign1` (RFC 9052, section 4.4).
const SIGNATURE_CONTEXT: &str = "Signature1";

/// Signature algorithm of a health certificate (hCert specification, section 3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 9053, section 2.1).
    Es256,
    /// RSASSA-PSS with SHA-256 (RFC 8230, section 2).
    Ps256,
}

impl Algorithm {
    /// Registered name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
        }
    }
}

/// Fault of the headers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum HeaderFault {
    /// Neither header names an algorithm.
    #[error("no header names an algorithm, where ES256 or PS256 is wanted")]
    NoAlgorithm,
    /// The algorithm is another.
    #[error("the signature is made by {0}, where ES256 or PS256 is wanted")]
    OtherAlgorithm(String),
    /// Neither header has a key identifier.
    #[error("neither header has a kid, so the key is unknown")]
    NoKid,
    /// The key identifier is no byte string.
    #[error("the kid is no byte string")]
    KidNotBytes,
}

/// `COSE_Sign1` message that was opened; its signature was not verified.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    protected: Vec<(Value, Value)>,
    protected_bytes: Vec<u8>,
    unprotected: Vec<(Value, Value)>,
    /// Payload as it came.
    pub(crate) payload: Vec<u8>,
    /// Signature as it came.
    pub(crate) signature: Vec<u8>,
}

/// Where a key identifier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the header that the signature covers.
    Protected,
    /// In the other header.
    Unprotected,
}

impl Place {
    /// Name of the header.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Unprotected => "unprotected",
        }
    }
}

impl Message {
    /// Algorithm that the protected header names, or the unprotected one where that names none.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, HeaderFault> {
        let named =
            entry(&self.protected, ALGORITHM).or_else(|| entry(&self.unprotected, ALGORITHM));
        let number = match named {
            None => return Err(HeaderFault::NoAlgorithm),
            Some(Value::Integer(number)) => i128::from(*number),
            Some(_) => return Err(HeaderFault::OtherAlgorithm("an unknown one".to_owned())),
        };
        match number {
            -7 => Ok(Algorithm::Es256),
            -37 => Ok(Algorithm::Ps256),
            other => Err(HeaderFault::OtherAlgorithm(algorithm_name(other))),
        }
    }

    /// Key identifier and where it stands; the protected header comes first.
    pub(crate) fn kid(&self) -> Result<(&[u8], Place), HeaderFault> {
        let headers = [
            (&self.protected, Place::Protected),
            (&self.unprotected, Place::Unprotected),
        ];
        for (header, place) in headers {
            match entry(header, KID) {
                None => {}
                Some(Value::Bytes(kid)) => return Ok((kid, place)),
                Some(_) => return Err(HeaderFault::KidNotBytes),
            }
        }
        Err(HeaderFault::NoKid)
    }

    /// Bytes that the signature covers: the `Sig_structure` (RFC 9052, section 4.4) with empty
    /// external data.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let structure = Value::Array(vec![
            Value::from(SIGNATURE_CONTEXT),
            Value::Bytes(self.protected_bytes.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ]);
        let mut bytes = Vec::new();
        // Writing to memory cannot fail; an empty result would fail the signature.
        if ciborium::into_writer(&structure, &mut bytes).is_err() {
            bytes.clear();
        }
        bytes
    }
}

/// Opens a message and notes the steps "cbor", "tag" and "cose".
pub(crate) fn open(bytes: &[u8], report: &mut Report) -> Option<Message> {
    let item = match cbor::decode(bytes) {
        Ok(item) => item,
        Err(fault) => {
            report.fault(Step::Cbor, fault.to_string());
            return None;
        }
    };
    let inner = without_tags(item, report);
    let Value::Array(parts) = inner else {
        report.fault(Step::Cose, "the message is no array, so no COSE_Sign1");
        return None;
    };
    let message = match <[Value; 4]>::try_from(parts) {
        Ok(parts) => message(parts),
        Err(parts) => Err(Fault::Structure(format!(
            "the message has {} parts, where COSE_Sign1 has 4",
            parts.len()
        ))),
    };
    match message {
        Ok(message) => {
            report.ok(Step::Cose, "COSE_Sign1");
            Some(message)
        }
        Err(Fault::Cbor(fault)) => {
            report.fault(Step::Cbor, format!("in the protected header: {fault}"));
            None
        }
        Err(Fault::Structure(words)) => {
            report.fault(Step::Cose, words);
            None
        }
    }
}

enum Fault {
    Cbor(CborFault),
    Structure(String),
}

fn message([protected, unprotected, payload, signature]: [Value; 4]) -> Result<Message, Fault> {
    let structure = |words: &str| Fault::Structure(words.to_owned());
    let Value::Bytes(protected_bytes) = protected else {
        return Err(structure("the protected header is no byte string"));
    };
    let protected = if protected_bytes.is_empty() {
        Value::Map(Vec::new())
    } else {
        cbor::decode(&protected_bytes).map_err(Fault::Cbor)?
    };
    let Value::Map(protected) = protected else {
        return Err(structure("the protected header holds no map"));
    };
    let Value::Map(unprotected) = unprotected else {
        return Err(structure("the unprotected header is no map"));
    };
    let Value::Bytes(payload) = payload else {
        return Err(structure("the payload is no byte string"));
    };
    let Value::Bytes(signature) = signature else {
        return Err(structure("the signature is no byte string"));
    };
    if entry(&protected, CRITICAL).is_some() {
        return Err(structure(
            "a header has critical parameters, which are not understood",
        ));
    }
    Ok(Message {
        protected,
        protected_bytes,
        unprotected,
        payload,
        signature,
    })
}

/// Item within the tags, which are none, 18, or 18 within 61. Other tags are a fault, and what
/// they stand around is looked at all the same.
fn without_tags(item: Value, report: &mut Report) -> Value {
    let mut tags = Vec::new();
    let mut inner = item;
    while let Value::Tag(tag, within) = inner {
        tags.push(tag);
        inner = *within;
    }
    let names: Vec<String> = tags.iter().map(u64::to_string).collect();
    match tags.as_slice() {
        [] => report.ok(Step::Tag, "untagged"),
        [SIGN1_TAG] => report.ok(Step::Tag, "18 (COSE_Sign1)"),
        [CWT_TAG, SIGN1_TAG] => report.ok(Step::Tag, "61 (CWT) around 18 (COSE_Sign1)"),
        _ => report.fault(
            Step::Tag,
            format!(
                "the tags are {}, where 18, or 61 and 18, are allowed",
                names.join(", ")
            ),
        ),
    }
    inner
}

/// Registered name of an algorithm that is not accepted (IANA, COSE algorithms), or its number.
fn algorithm_name(number: i128) -> String {
    let name = match number {
        -8 => "EdDSA",
        -35 => "ES384",
        -36 => "ES512",
        -38 => "PS384",
        -39 => "PS512",
        -47 => "ES256K",
        -257 => "RS256",
        -258 => "RS384",
        -259 => "RS512",
        -65535 => "RS1",
        5 => "HMAC 256/256",
        other => return format!("algorithm {other}"),
    };
    name.to_owned()
}
