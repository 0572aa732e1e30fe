//! Questions to the registry, as its interface describes them.

use pass::holder::{HolderAttributes, Initial};
use pseudonym::Pseudonym;
use serde::Serialize;

use crate::citizen::Citizen;

/// Number of characters of an Idempotency-Key that a page makes: a UUID.
const KEY_CHARS: usize = 36;

/// Kind of pass that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PassKind {
    /// Strips of today and the days ahead.
    Days,
    /// Strip for paper.
    Paper,
    /// Certificate of a vaccination.
    Vaccination,
    /// Certificate of a recovery.
    Recovery,
    /// Certificate of a test.
    Test,
}

impl PassKind {
    /// Group of the EU DCC that a certificate of the kind has its entry in; `None` for strips.
    pub(crate) const fn group(self) -> Option<&'static str> {
        match self {
            Self::Days | Self::Paper => None,
            Self::Vaccination => Some("v"),
            Self::Recovery => Some("r"),
            Self::Test => Some("t"),
        }
    }
}

/// Key by which the registry knows a repeat of a request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Key that a page made for one action: a UUID.
    pub(crate) fn of_page(text: &str) -> Option<Self> {
        let is_uuid = text.len() == KEY_CHARS
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        is_uuid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// Value of the header.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Question about eligibility.
#[derive(Serialize)]
pub(super) struct EligibilityQuestion {
    pseudonyms: Vec<PseudonymText>,
}

impl EligibilityQuestion {
    pub(super) fn of(pseudonyms: &[Pseudonym]) -> Self {
        Self {
            pseudonyms: pseudonyms.iter().map(PseudonymText::of).collect(),
        }
    }
}

/// Order of a pass.
#[derive(Serialize)]
pub(crate) struct PassOrder {
    pseudonyms: Vec<PseudonymText>,
    holder: DisclosedHolder,
    form: PassKind,
}

impl PassOrder {
    /// Order of a kind of pass for a citizen, which discloses these attributes.
    pub(crate) fn of(citizen: &Citizen, form: PassKind, holder: HolderAttributes) -> Self {
        Self {
            pseudonyms: citizen.pseudonyms.iter().map(PseudonymText::of).collect(),
            holder: DisclosedHolder::of(holder),
            form,
        }
    }
}

#[derive(Serialize)]
struct PseudonymText {
    suite: &'static str,
    scheme: &'static str,
    epoch: u16,
    value: String,
}

impl PseudonymText {
    fn of(pseudonym: &Pseudonym) -> Self {
        Self {
            suite: pseudonym.suite.as_str(),
            scheme: pseudonym.scheme.as_str(),
            epoch: pseudonym.epoch,
            value: hex::encode(pseudonym.value),
        }
    }
}

#[derive(Serialize)]
struct DisclosedHolder {
    #[serde(skip_serializing_if = "Option::is_none")]
    given_initial: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_initial: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_day: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_month: Option<u8>,
}

impl DisclosedHolder {
    fn of(attributes: HolderAttributes) -> Self {
        let birth = attributes.birth();
        Self {
            given_initial: attributes.given_initial().map(Initial::as_str),
            family_initial: attributes.family_initial().map(Initial::as_str),
            birth_day: birth.day(),
            birth_month: birth.month(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_page_is_a_uuid_in_any_case() {
        let key = IdempotencyKey::of_page("3F2504E0-4F89-41D3-9A0C-0305E82C3301");
        let key = key.expect("a UUID");
        assert_eq!(key.as_str(), "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
        for bad in [
            "",
            "3f2504e0-4f89-41d3-9a0c-0305e82c330",
            "3f2504e0-4f89-41d3-9a0c-0305e82c33011",
            "3f2504e0x4f89-41d3-9a0c-0305e82c3301",
            "612-480-911 69 as a key, no UUID....",
        ] {
            assert!(IdempotencyKey::of_page(bad).is_none(), "{bad}");
        }
    }
}
