//! Lookup table of one field: the configured words, the built-in names, the standard systems.

use std::collections::HashMap;

use connector_kit::Coding;

use super::mention::mentions_covid;
use super::system::System;
use super::{Folded, Found, KeyFault, Mapped, Meaning, Spelling};

/// Most codings of one field that are looked at.
const MAX_CODINGS: usize = 32;

/// Why a field's codings do not come to one entry of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// None given, or none that says anything.
    Unknown,
    /// Two that say different things.
    Conflict,
    /// The field is about something else than COVID-19.
    OutOfScope,
}

/// Meanings of a standard system's codes, and of bare codes that name no system.
pub(super) struct Standards<T> {
    pub(super) coded: fn(System, &str) -> Meaning<T>,
    pub(super) bare: fn(&str) -> Meaning<T>,
    /// Whether a field may name other things besides its own, as a diagnosis names its
    /// complications.
    pub(super) others_beside: bool,
}

/// Source of a coding's meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// A word: a built-in name, or one that configuration maps.
    Word,
    /// A code of a code system that configuration maps.
    Mapped,
    /// A standard.
    Standard,
}

/// Lookups for one field. Configured entries prevail over built-in ones.
pub(crate) struct CodeTable<T> {
    /// Words and codes without a code system, as configuration maps them.
    mapped: Mapped<Meaning<T>>,
    /// By code system and code, configured as `system|code`.
    of_system: HashMap<Box<str>, Mapped<Meaning<T>>>,
    /// Built-in names, folded.
    names: HashMap<Box<str>, T>,
    standards: Standards<T>,
}

impl<T: Copy + PartialEq> CodeTable<T> {
    /// A table with the built-in names, which must be folded already.
    pub(super) fn new(
        names: impl IntoIterator<Item = (&'static str, T)>,
        standards: Standards<T>,
    ) -> Self {
        let names = names.into_iter();
        Self {
            mapped: Mapped::new(Spelling::Folded),
            of_system: HashMap::new(),
            names: names.map(|(name, item)| (name.into(), item)).collect(),
            standards,
        }
    }

    /// Adds all of a configuration's entries.
    ///
    /// # Errors
    /// The first key that cannot be used, and why.
    pub(crate) fn configure<'a>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, Meaning<T>)>,
    ) -> Result<(), (String, KeyFault)> {
        for (key, meaning) in entries {
            let fault = |fault| (key.to_owned(), fault);
            let added = match key.trim().rsplit_once('|') {
                Some((system, code)) if !system.is_empty() => {
                    self.configure_code(system.trim(), code.trim(), meaning)
                }
                _ => self.mapped.add(key, meaning),
            };
            added.map_err(fault)?;
        }
        Ok(())
    }

    fn configure_code(
        &mut self,
        system: &str,
        code: &str,
        meaning: Meaning<T>,
    ) -> Result<(), KeyFault> {
        if code.is_empty() {
            return Err(KeyFault::NoCode);
        }
        let codes = || Mapped::new(Spelling::Exact);
        let codes = self.of_system.entry(system.into()).or_insert_with(codes);
        codes.add(code, meaning)
    }

    /// Resolves all codings of one field to one meaning.
    ///
    /// Nothing goes out of scope on a standard's word alone while another coding of the field
    /// speaks of COVID-19.
    pub(crate) fn resolve(&self, codings: &[Coding]) -> Result<T, Unresolved> {
        let codings = &codings[..codings.len().min(MAX_CODINGS)];
        let mut found = None;
        let mut by_code = false;
        let mut unlisted = false;
        let mut other = false;
        let mut other_by_choice = false;
        for coding in codings {
            let (meaning, ground) = self.meaning(coding)?;
            match meaning {
                Meaning::Is(item) if *found.get_or_insert(item) != item => {
                    return Err(Unresolved::Conflict);
                }
                Meaning::Is(_) => by_code |= ground != Ground::Word,
                Meaning::Unrecognised => {}
                Meaning::Unlisted => unlisted = true,
                Meaning::OutOfScope => {
                    other = true;
                    other_by_choice |= ground != Ground::Standard;
                }
            }
        }
        let certain = self.standards.others_beside && by_code;
        match found {
            Some(_) if other && !certain => Err(Unresolved::Conflict),
            // A code such as "virus not identified" is more exact than the disease's name beside
            // it.
            Some(_) if unlisted && self.standards.others_beside && !by_code => {
                Err(Unresolved::Unknown)
            }
            Some(item) => Ok(item),
            None if !other || unlisted => Err(Unresolved::Unknown),
            None if other_by_choice => Err(Unresolved::OutOfScope),
            None if codings.iter().any(|coding| mentions_covid(&coding.code)) => {
                Err(Unresolved::Unknown)
            }
            None => Err(Unresolved::OutOfScope),
        }
    }

    fn meaning(&self, coding: &Coding) -> Result<(Meaning<T>, Ground), Unresolved> {
        let code = coding.code.trim();
        let Some(uri) = coding.system.as_deref() else {
            return self.local(code);
        };
        match self.of_system.get(uri).map(|codes| codes.find(code)) {
            Some(Found::Is(meaning)) => return Ok((meaning, Ground::Mapped)),
            Some(Found::Conflict) => return Err(Unresolved::Conflict),
            Some(Found::BySpelling | Found::Nothing) | None => {}
        }
        match System::of(uri) {
            Some(system) => Ok(((self.standards.coded)(system, code), Ground::Standard)),
            None => self.local(code),
        }
    }

    fn local(&self, code: &str) -> Result<(Meaning<T>, Ground), Unresolved> {
        let named = match self.mapped.find(code) {
            Found::Is(meaning) => return Ok((meaning, Ground::Word)),
            Found::Conflict => return Err(Unresolved::Conflict),
            Found::BySpelling => None,
            Found::Nothing => Folded::new(code),
        };
        match named.and_then(|name| self.names.get(name.as_str())) {
            Some(item) => Ok((Meaning::Is(*item), Ground::Word)),
            None => Ok(((self.standards.bare)(code), Ground::Standard)),
        }
    }
}
