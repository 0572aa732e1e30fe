//! Identifiers of persons whose pseudonyms are yet to be evaluated, held in memory and nowhere
//! else until they are blinded.

use std::collections::HashMap;
use std::fmt;

use contract::{Scheme, Suite};
use draft::LocalName;
use oprf::Blinding;
use zeroize::Zeroizing;

/// Begins every input that a pseudonym is made of, keyed or blinded.
pub(crate) const PSEUDONYM_DOMAIN: &str = "clinic-gateway/pseudonym/v1";

/// Most identifiers in one blinding.
pub const MAX_BLINDED: usize = oprf::SIZES[oprf::SIZES.len() - 1];

/// Input of the blind evaluation: names the scheme, and holds the normal form. No key epoch goes
/// into it, so that a rotated key can be reached by a factor.
pub(crate) struct BlindInput(Zeroizing<Vec<u8>>);

impl BlindInput {
    /// Input of a normal form: domain 0 suite 0 scheme 0 normal form.
    pub(crate) fn new(scheme: Scheme, normal_form: &[u8]) -> Self {
        let suite = Suite::Voprf.as_str();
        let scheme = scheme.as_str();
        let len = PSEUDONYM_DOMAIN.len() + suite.len() + scheme.len() + 3 + normal_form.len();
        // In one piece, so that no grown-out copy stays in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        for part in [PSEUDONYM_DOMAIN, suite, scheme] {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(normal_form);
        Self(bytes)
    }
}

/// Identifiers by their local names; wiped when dropped.
#[derive(Default)]
pub struct HeldIdentifiers(HashMap<LocalName, BlindInput>);

impl HeldIdentifiers {
    pub(crate) fn insert(&mut self, name: LocalName, input: BlindInput) {
        self.0.insert(name, input);
    }

    /// Blinds the identifiers of 1 to [`MAX_BLINDED`] names. `None` if there are none or more, or
    /// one of them is not held.
    #[must_use]
    pub fn blind(&self, names: &[LocalName]) -> Option<Blinding> {
        let inputs: Option<Vec<&[u8]>> = names
            .iter()
            .map(|name| self.0.get(name).map(|input| input.0.as_slice()))
            .collect();
        Blinding::new(&inputs?).ok()
    }

    /// Number of identifiers held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if no identifier is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for HeldIdentifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldIdentifiers({} identifiers)", self.0.len())
    }
}
