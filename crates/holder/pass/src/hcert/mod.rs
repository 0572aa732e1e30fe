//! Certificates: claims of the product `hcert` around an EU DCC map (schema 1.3.0) with exactly one
//! vaccination, recovery or test, and of the holder only the disclosed initials.

mod certificate;
mod entry;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use ciborium::Value;

use crate::cbor::{FieldFault, Fields, encode, map};
use crate::claim_labels::{EXPIRY, HCERT, ISSUED_AT, ISSUER, PASS_ID};
use crate::pass_id::PassId;
use crate::time::seconds;

pub use certificate::Certificate;
pub use entry::{Entry, MAX_CODE_CHARS, Recovery, Test, TestKind, Vaccination};

/// Number of characters that the issuer of a certificate may have (schema 1.3.0, `issuer`).
pub const MAX_ISSUER_CHARS: usize = 80;

/// Beginning of the certificate's identifier (UVCI); the pass id follows in hexadecimal digits.
pub const UVCI_PREFIX: &str = "URN:UVCI:01:RU:";

/// Label of the EU DCC in the certificate's claim.
const EU_DCC: i64 = 1;

const PLACE: &str = "the certificate";

/// Claims of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HcertClaims {
    /// Text that names the issuer, also inside the certificate.
    pub issuer: String,
    /// First second of the day of issue in the city's zone; the certificate holds from it on.
    pub issued_at: DateTime<Utc>,
    /// First second at which the certificate does not hold any more.
    pub expires: DateTime<Utc>,
    /// Id of the pass; the certificate's identifier is made of it.
    pub id: PassId,
    /// The certificate.
    pub certificate: Certificate,
}

impl HcertClaims {
    /// Payload of the certificate.
    ///
    /// # Errors
    /// A value that schema 1.3.0 or this product does not permit, by its field.
    pub fn encode(&self) -> Result<Vec<u8>, FieldFault> {
        self.check()?;
        let certificate = self.certificate.item(&self.issuer, self.id);
        Ok(encode(&map(vec![
            (ISSUER.into(), self.issuer.as_str().into()),
            (EXPIRY.into(), seconds(self.expires).into()),
            (ISSUED_AT.into(), seconds(self.issued_at).into()),
            (PASS_ID.into(), Value::Bytes(self.id.0.to_vec())),
            (HCERT.into(), map(vec![(EU_DCC.into(), certificate)])),
        ])))
    }

    /// Reads the claims of a certificate.
    pub(crate) fn read(item: Value) -> Result<Self, FieldFault> {
        let mut fields = Fields::new(item, PLACE)?;
        let issuer = fields.text(ISSUER, "the issuer")?;
        let expires = fields.time(EXPIRY, "the expiry")?;
        let issued_at = fields.time(ISSUED_AT, "the time of issue")?;
        let id = PassId(fields.bytes(PASS_ID, "the id", "8 bytes")?);
        let mut inner = Fields::new(fields.any(HCERT, "the health claim")?, "the health claim")?;
        let certificate = Certificate::read(inner.any(EU_DCC, "the EU DCC")?, &issuer, id)?;
        inner.end()?;
        fields.end()?;
        let claims = Self {
            issuer,
            issued_at,
            expires,
            id,
            certificate,
        };
        claims.check()?;
        Ok(claims)
    }

    fn check(&self) -> Result<(), FieldFault> {
        let fault = |field, wanted| FieldFault::Value {
            place: PLACE,
            field,
            wanted,
        };
        let issuer_chars = self.issuer.chars().count();
        if issuer_chars == 0 || issuer_chars > MAX_ISSUER_CHARS {
            return Err(fault("the issuer", "a text of 1 to 80 characters"));
        }
        if self.issued_at >= self.expires {
            return Err(fault("the expiry", "later than the time of issue"));
        }
        self.certificate.entry.check()
    }
}
