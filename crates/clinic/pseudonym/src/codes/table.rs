//! Lookup table of one field: the configured words, the built-in names, the standard systems.

use std::collections::HashMap;

use connector_kit::Coding;

use super::mention::mentions_covid;
use super::system::System;
use super::{Folded, Found, KeyFault, Mapped, Meaning, Spelling, narrower};

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
    /// Meaning of several words, none of which may be unknown.
    pub(super) phrase: fn(&str) -> Meaning<T>,
    /// Entry that this one is a form of, so that a field may name both.
    pub(super) broader: fn(T) -> Option<T>,
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
        names: impl IntoIterator<Item = (Box<str>, T)>,
        standards: Standards<T>,
    ) -> Self {
        Self {
            mapped: Mapped::new(Spelling::Folded),
            of_system: HashMap::new(),
            names: names.into_iter().collect(),
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
        let mut found: Option<T> = None;
        let mut by_code = false;
        let mut unlisted = false;
        let mut other = false;
        let mut other_by_choice = false;
        for coding in codings {
            let (meaning, ground) = self.meaning(coding)?;
            match meaning {
                Meaning::Is(item) => {
                    let before = found.unwrap_or(item);
                    let both = narrower(before, item, self.standards.broader);
                    found = Some(both.ok_or(Unresolved::Conflict)?);
                    by_code |= ground != Ground::Word;
                }
                Meaning::Ambiguous => return Err(Unresolved::Conflict),
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

    /// Folded names of the list's entries, built in or configured.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, T)> {
        let configured = self
            .mapped
            .folded()
            .filter_map(|(name, meaning)| match meaning {
                Meaning::Is(item) => Some((name, item)),
                _ => None,
            });
        let built_in = self.names.iter().map(|(name, item)| (&**name, *item));
        configured.chain(built_in)
    }

    /// Returns whether a person has nothing to decide about these codings.
    pub(crate) fn is_known(&self, codings: &[Coding]) -> bool {
        !matches!(self.resolve(codings), Err(Unresolved::Unknown))
    }

    /// The coding that a person has to decide about, where the field is
    /// [`Unresolved::Unknown`]: one that is about COVID-19 before one that says nothing, and last
    /// one of another matter whose words speak of COVID-19. `None` where nothing is written.
    pub(crate) fn undecided<'a>(&self, codings: &'a [Coding]) -> Option<&'a Coding> {
        let codings = &codings[..codings.len().min(MAX_CODINGS)];
        let written = || codings.iter().filter(|it| !it.code.trim().is_empty());
        let of = |wanted| {
            let is_wanted = |coding: &&Coding| {
                let meaning = self.meaning(coding);
                meaning.is_ok_and(|(meaning, _)| meaning == wanted)
            };
            written().find(is_wanted)
        };
        of(Meaning::Unlisted)
            .or_else(|| of(Meaning::Unrecognised))
            .or_else(|| written().find(|coding| mentions_covid(&coding.code)))
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
        let mut other_spelling = false;
        match self.mapped.find(code) {
            Found::Is(meaning) => return Ok((meaning, Ground::Word)),
            Found::Conflict => return Err(Unresolved::Conflict),
            // No built-in meaning is left to a spelling that configuration tells from another.
            Found::BySpelling => other_spelling = true,
            Found::Nothing => {
                let folded = Folded::new(code);
                let named = folded.and_then(|name| self.names.get(name.as_str()));
                if let Some(item) = named {
                    return Ok((Meaning::Is(*item), Ground::Word));
                }
            }
        }
        Ok(match (self.standards.bare)(code) {
            Meaning::Unrecognised if !other_spelling => {
                ((self.standards.phrase)(code), Ground::Word)
            }
            meaning => (meaning, Ground::Standard),
        })
    }
}
