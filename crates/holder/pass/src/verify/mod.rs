//! The verdict at the door, from the text of a pass, the data held and the time.

mod data;
mod reason;

#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cbor::{FieldFault, is_deterministic};
use crate::claims::{Claims, ClaimsFault};
use crate::container::{Envelope, from_text};
use crate::holder::HolderAttributes;
use crate::product::Product;

pub use data::{CANNOT_TELL_AFTER, Data, Held, STALE_AFTER};
pub use reason::Reason;

/// Longest window of a strip that is accepted: seven days, one of which has 25 hours. A strip that
/// was signed by mistake for longer does not hold for years.
pub const LONGEST_WINDOW: TimeDelta = TimeDelta::hours(7 * 24 + 1);

/// Answer at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The pass holds; green. What it discloses of its holder is to be compared with a document.
    Valid(HolderAttributes),
    /// The pass does not hold; red. Nothing of its holder is shown.
    Invalid(Reason),
    /// The pass holds by data that are older than [`STALE_AFTER`]; amber.
    Stale(HolderAttributes),
    /// There are no data, or they are older than [`CANNOT_TELL_AFTER`], so nothing is said.
    CannotTell,
    /// The device's clock is behind the time of issue of the trust bundle or of the list, so
    /// nothing is said.
    ClockWrong,
}

impl Verdict {
    /// Stable name of the verdict.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Valid(_) => "valid",
            Self::Invalid(_) => "invalid",
            Self::Stale(_) => "stale",
            Self::CannotTell => "cannot-tell",
            Self::ClockWrong => "clock-wrong",
        }
    }
}

/// Verdict on the text of a pass at a time. Data that allow no answer are looked at before the
/// pass, so that then every pass gets the same one.
#[must_use]
pub fn verify(text: &str, held: Option<Held<'_>>, now: DateTime<Utc>) -> Verdict {
    let Some(held) = held else {
        return Verdict::CannotTell;
    };
    let stale = match held.judge(now) {
        Data::Fresh => false,
        Data::Stale => true,
        Data::CannotTell => return Verdict::CannotTell,
        Data::ClockWrong => return Verdict::ClockWrong,
    };
    match holder_of(text, held, now) {
        Ok(holder) if stale => Verdict::Stale(holder),
        Ok(holder) => Verdict::Valid(holder),
        Err(reason) => Verdict::Invalid(reason),
    }
}

/// Disclosed attributes of a pass that holds: decoding, key, signature, claims, what the key is for
/// and when, issuer, window, revocation, in this order.
fn holder_of(text: &str, held: Held<'_>, now: DateTime<Utc>) -> Result<HolderAttributes, Reason> {
    let cose = from_text(text)?;
    if !is_deterministic(&cose) {
        return Err(Reason::Cbor);
    }
    let envelope = Envelope::open_es256(&cose)?;
    let key = held.trust.key(&envelope.kid).ok_or(Reason::KeyUnknown)?;
    if !key.key.verifies(&envelope) {
        return Err(Reason::Signature);
    }
    let claims = Claims::decode(&envelope.payload).map_err(|fault| match fault {
        ClaimsFault::Field(FieldFault::Cbor(_)) => Reason::Cbor,
        _ => Reason::Claims,
    })?;
    if claims.product() == Product::City && claims.expires() - claims.from() > LONGEST_WINDOW {
        return Err(Reason::Claims);
    }
    if !key.is_for(claims.product()) {
        return Err(Reason::KeyNotForThis);
    }
    if !key.is_valid_at(now) {
        return Err(Reason::KeyNotValidNow);
    }
    if claims.issuer() != held.trust.issuer {
        return Err(Reason::Issuer);
    }
    // One of two doses is no reason for green.
    if !claims.is_complete() {
        return Err(Reason::SeriesIncomplete);
    }
    if now < claims.from() {
        return Err(Reason::NotYet);
    }
    if now >= claims.expires() {
        return Err(Reason::Expired);
    }
    if held.revocations.revokes(claims.id().0) {
        return Err(Reason::Revoked);
    }
    Ok(claims.holder())
}
