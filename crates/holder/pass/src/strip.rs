//! Issue of passes: the text of a strip, and of a certificate.

use crate::cbor::FieldFault;
use crate::claims::CityClaims;
use crate::container::to_text;
use crate::hcert::HcertClaims;
use crate::holder::HolderAttributes;
use crate::keys::SigningKey;
use crate::pass_id::PassId;
use crate::window::Window;

/// Text of a strip that holds in the window and discloses the attributes.
#[must_use]
pub fn issue_strip(
    key: &SigningKey,
    issuer: &str,
    window: Window,
    id: PassId,
    holder: HolderAttributes,
) -> String {
    let claims = CityClaims {
        issuer: issuer.to_owned(),
        not_before: window.start(),
        expires: window.end(),
        id,
        holder,
    };
    to_text(&key.seal(claims.encode()))
}

/// Text of a certificate.
///
/// # Errors
/// A value that schema 1.3.0 or the product does not permit, by its field.
pub fn issue_certificate(key: &SigningKey, claims: &HcertClaims) -> Result<String, FieldFault> {
    Ok(to_text(&key.seal(claims.encode()?)))
}
