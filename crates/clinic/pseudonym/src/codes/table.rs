//! Lookup table of one field: the configured words, the built-in names, the standard systems.

use std::collections::HashMap;

use connector_kit::Coding;

use super::mention::mentions_covid;
use super::system::System;
use super::{Folded, Meaning};

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
    /// By the exact code, configured for sources without a code system.
    exact: HashMap<Box<str>, Meaning<T>>,
    /// By folded word: built-in names, and configured codes whose folding is theirs alone.
    folded: HashMap<Box<str>, Meaning<T>>,
    /// By code system and code, configured as `system|code`.
    of_system: HashMap<Box<str>, HashMap<Box<str>, Meaning<T>>>,
    standards: Standards<T>,
}

impl<T: Copy + PartialEq> CodeTable<T> {
    /// A table with the built-in names, which must be folded already.
    pub(super) fn new(
        names: impl IntoIterator<Item = (&'static str, T)>,
        standards: Standards<T>,
    ) -> Self {
        let folded = names
            .into_iter()
            .map(|(name, item)| (name.into(), Meaning::Is(item)))
            .collect();
        Self {
            exact: HashMap::new(),
            folded,
            of_system: HashMap::new(),
            standards,
        }
    }

    /// Adds all of a configuration's entries.
    pub(crate) fn configure<'a>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, Meaning<T>)>,
    ) {
        let mut of_configuration: HashMap<Box<str>, Option<Meaning<T>>> = HashMap::new();
        for (key, meaning) in entries {
            let key = key.trim();
            if let Some((system, code)) = key
                .rsplit_once('|')
                .filter(|(system, _)| !system.is_empty())
            {
                let codes = self.of_system.entry(system.trim().into()).or_default();
                codes.insert(code.trim().into(), meaning);
                continue;
            }
            self.exact.insert(key.into(), meaning);
            if let Some(folded) = Folded::new(key) {
                // "A+" and "A-" fold to the same: then only the exact spelling counts.
                let entry = of_configuration
                    .entry(folded.as_str().into())
                    .or_insert(Some(meaning));
                *entry = entry.filter(|other| *other == meaning);
            }
        }
        for (folded, meaning) in of_configuration {
            match meaning {
                Some(meaning) => self.folded.insert(folded, meaning),
                None => self.folded.remove(&folded),
            };
        }
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
            let (meaning, ground) = self.meaning(coding);
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
        let of = |meaning| written().find(|coding| self.meaning(coding).0 == meaning);
        of(Meaning::Unlisted)
            .or_else(|| of(Meaning::Unrecognised))
            .or_else(|| written().find(|coding| mentions_covid(&coding.code)))
    }

    fn meaning(&self, coding: &Coding) -> (Meaning<T>, Ground) {
        let code = coding.code.trim();
        let Some(uri) = coding.system.as_deref() else {
            return self.local(code);
        };
        if let Some(meaning) = self.of_system.get(uri).and_then(|codes| codes.get(code)) {
            return (*meaning, Ground::Mapped);
        }
        match System::of(uri) {
            Some(system) => ((self.standards.coded)(system, code), Ground::Standard),
            None => self.local(code),
        }
    }

    fn local(&self, code: &str) -> (Meaning<T>, Ground) {
        if let Some(meaning) = self.exact.get(code) {
            return (*meaning, Ground::Word);
        }
        let folded = Folded::new(code);
        match folded.and_then(|folded| self.folded.get(folded.as_str())) {
            Some(meaning) => (*meaning, Ground::Word),
            None => ((self.standards.bare)(code), Ground::Standard),
        }
    }
}
