//! What a source writes as the issuing country, by configuration and by the lists.

use super::{UNSPECIFIED, known};
use crate::codes::{Found, Mapped};
use crate::identifier::IdentifierFault;

/// Meaning that configuration gives a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountryMeaning {
    /// Three letters of a country.
    Is(&'static str),
    /// The identifier is to be left out.
    Ignored,
}

/// Words that configuration maps to countries.
pub(crate) type Countries = Mapped<CountryMeaning>;

/// Issuing country of an identifier, as its source writes it.
#[derive(Clone, Copy)]
pub(in crate::identifier) struct Issuer<'a> {
    /// Text of the source; `None` where it has none.
    pub(in crate::identifier) text: Option<&'a str>,
    /// Words that configuration maps.
    pub(in crate::identifier) countries: &'a Countries,
}

impl Issuer<'_> {
    /// The country's three letters; `default` is used where the source names none.
    pub(in crate::identifier) fn resolve(
        self,
        default: Option<&'static str>,
    ) -> Result<&'static str, IdentifierFault> {
        let Some(text) = self.text.map(str::trim).filter(|text| !text.is_empty()) else {
            return default.ok_or(IdentifierFault::CountryMissing);
        };
        match self.countries.find(text) {
            Found::Is(CountryMeaning::Is(three)) => Ok(three),
            Found::Is(CountryMeaning::Ignored) => Err(IdentifierFault::Ignored),
            Found::Conflict => Err(IdentifierFault::CountryUnknown),
            Found::Nothing | Found::BySpelling if text.eq_ignore_ascii_case(UNSPECIFIED) => {
                Err(IdentifierFault::CountryMissing)
            }
            Found::Nothing | Found::BySpelling => {
                known(text).ok_or(IdentifierFault::CountryUnknown)
            }
        }
    }
}
