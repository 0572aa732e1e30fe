//! Entry for `crates/dev/parsers`: the normaliser of every identifier scheme.

use connector_kit::Identifier;

use crate::Policy;
use crate::identifier::{IdentifierFault, NormalForm, normalise};
use crate::rejection::RejectionReason;

/// The normal form of an identifier, or why it cannot be used.
///
/// # Errors
/// The reason its record would be refused for.
///
/// # Panics
/// If a normal form is not UTF-8: a fault of a normaliser.
pub fn normal_form(identifier: &Identifier, policy: &Policy) -> Result<String, RejectionReason> {
    let mut form = NormalForm::new();
    normalise(identifier, &policy.identifiers, &mut form).map_err(IdentifierFault::reason)?;
    Ok(String::from_utf8(form.as_bytes().to_vec()).expect("a normal form is text"))
}
