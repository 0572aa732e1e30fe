//! Claims of a pass (CWT, RFC 8392): written deterministically, read strictly.

mod city;
mod holder;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use ciborium::Value;

use crate::cbor::{FieldFault, decode};
use crate::claim_labels::{HCERT, HOLDER};
use crate::hcert::HcertClaims;
use crate::holder::HolderAttributes;
use crate::pass_id::PassId;
use crate::product::Product;

pub use city::CityClaims;

/// Claims of either product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// Claims of a strip.
    City(CityClaims),
    /// Claims of a certificate.
    Hcert(HcertClaims),
}

/// Claims of neither product, or with a fault in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsFault {
    /// The payload has neither the holder of a strip nor a certificate, or both.
    #[error("the claims are neither those of a strip nor those of a certificate")]
    NoProduct,
    /// A field is not as it must be.
    #[error(transparent)]
    Field(#[from] FieldFault),
}

impl Claims {
    /// Reads the payload of a pass.
    ///
    /// # Errors
    /// The first fault: the encoding, the product, or a field that is unknown, missing, given
    /// twice, or not as it must be.
    pub fn decode(payload: &[u8]) -> Result<Self, ClaimsFault> {
        let item = decode(payload, "the payload")?;
        let has = |label: i64| {
            let entries = item.as_map().map(Vec::as_slice).unwrap_or_default();
            entries.iter().any(|entry| entry.0 == Value::from(label))
        };
        match (has(HOLDER), has(HCERT)) {
            (true, false) => Ok(Self::City(CityClaims::read(item)?)),
            (false, true) => Ok(Self::Hcert(HcertClaims::read(item)?)),
            _ => Err(ClaimsFault::NoProduct),
        }
    }

    /// Product that the claims are of.
    #[must_use]
    pub fn product(&self) -> Product {
        match self {
            Self::City(_) => Product::City,
            Self::Hcert(_) => Product::Hcert,
        }
    }

    /// Text that names the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match self {
            Self::City(claims) => &claims.issuer,
            Self::Hcert(claims) => &claims.issuer,
        }
    }

    /// First second at which the pass holds: its not-before, or its time of issue.
    #[must_use]
    pub fn from(&self) -> DateTime<Utc> {
        match self {
            Self::City(claims) => claims.not_before,
            Self::Hcert(claims) => claims.issued_at,
        }
    }

    /// First second at which the pass does not hold any more.
    #[must_use]
    pub fn expires(&self) -> DateTime<Utc> {
        match self {
            Self::City(claims) => claims.expires,
            Self::Hcert(claims) => claims.expires,
        }
    }

    /// True where the pass says enough by itself; a certificate of the first of two doses does not.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::City(_) => true,
            Self::Hcert(claims) => claims.certificate.entry.is_complete(),
        }
    }

    /// Id of the pass.
    #[must_use]
    pub fn id(&self) -> PassId {
        match self {
            Self::City(claims) => claims.id,
            Self::Hcert(claims) => claims.id,
        }
    }

    /// Disclosed attributes of the holder; of a certificate, the initials.
    #[must_use]
    pub fn holder(&self) -> HolderAttributes {
        match self {
            Self::City(claims) => claims.holder,
            Self::Hcert(claims) => claims.certificate.holder(),
        }
    }
}
