//! Claims of a strip: issuer, window, id and the holder's attributes; no time of issue, no fact.

use chrono::{DateTime, Utc};
use ciborium::Value;

use crate::cbor::{FieldFault, Fields, encode, map};
use crate::claim_labels::{EXPIRY, HOLDER, ISSUER, NOT_BEFORE, PASS_ID};
use crate::claims::holder;
use crate::holder::HolderAttributes;
use crate::pass_id::PassId;
use crate::time::seconds;

const PLACE: &str = "the strip";

/// Claims of a strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CityClaims {
    /// Text that names the issuer; one for all strips of a city.
    pub issuer: String,
    /// First second at which the strip holds.
    pub not_before: DateTime<Utc>,
    /// First second at which the strip does not hold any more.
    pub expires: DateTime<Utc>,
    /// Id of the strip.
    pub id: PassId,
    /// Disclosed attributes of the holder.
    pub holder: HolderAttributes,
}

impl CityClaims {
    /// Payload of the strip.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&map(vec![
            (ISSUER.into(), self.issuer.as_str().into()),
            (EXPIRY.into(), seconds(self.expires).into()),
            (NOT_BEFORE.into(), seconds(self.not_before).into()),
            (PASS_ID.into(), Value::Bytes(self.id.0.to_vec())),
            (HOLDER.into(), holder::item(self.holder)),
        ]))
    }

    /// Reads the claims of a strip.
    pub(crate) fn read(item: Value) -> Result<Self, FieldFault> {
        let mut fields = Fields::new(item, PLACE)?;
        let issuer = fields.text(ISSUER, "the issuer")?;
        let expires = fields.time(EXPIRY, "the expiry")?;
        let not_before = fields.time(NOT_BEFORE, "the not-before")?;
        if not_before >= expires {
            return Err(fields.fault("the expiry", "later than the not-before"));
        }
        let id = PassId(fields.bytes(PASS_ID, "the id", "8 bytes")?);
        let holder = holder::read(fields.any(HOLDER, "the holder")?)?;
        fields.end()?;
        Ok(Self {
            issuer,
            not_before,
            expires,
            id,
            holder,
        })
    }
}
