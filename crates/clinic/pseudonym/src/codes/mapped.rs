//! Words that configuration maps: by exact spelling, by folded spelling, by patterns.

use std::collections::HashMap;

use super::pattern::{Key, Pattern};
use super::{Folded, folded_text};

/// Most patterns of one table; each is compared with every word that has no entry of its own.
pub(crate) const MAX_PATTERNS: usize = 500;

/// Longest key, in characters: connectors cut longer values.
pub(crate) const MAX_KEY_CHARS: usize = 1024;

/// Reason why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// Nothing.
    Empty,
    /// A `*` that stands neither at the beginning nor at the end.
    StarInside,
    /// A pattern that every word would match, or none.
    OnlyStar,
    /// Longer than any value.
    TooLong,
    /// The same as another key that is mapped to something else.
    Repeated,
    /// Code of a system without the code.
    NoCode,
    /// One pattern more than there may be.
    TooManyPatterns,
}

/// Result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<M> {
    /// The word is mapped.
    Is(M),
    /// Two patterns of one length that mean different things match.
    Conflict,
    /// Other spellings of the word are mapped to different things; the built-in names do not
    /// count.
    BySpelling,
    /// The word is not mapped.
    Nothing,
}

/// Spelling that counts where a word is not there as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Letters and digits, whatever their case.
    Folded,
    /// Every character: codes of a code system.
    Exact,
}

/// Words of a configuration, each with its meaning.
pub(crate) struct Mapped<M> {
    spelling: Spelling,
    exact: HashMap<Box<str>, M>,
    /// `None` where two spellings mean different things: then only the exact spelling counts.
    folded: HashMap<Box<str>, Option<M>>,
    /// The longest first.
    patterns: Vec<(Pattern, M)>,
}

impl<M: Copy + PartialEq> Mapped<M> {
    /// A table of nothing.
    pub(crate) fn new(spelling: Spelling) -> Self {
        Self {
            spelling,
            exact: HashMap::new(),
            folded: HashMap::new(),
            patterns: Vec::new(),
        }
    }

    /// Maps all of these words.
    ///
    /// # Errors
    /// The first key that cannot be used, and why.
    pub(crate) fn of<'a>(
        spelling: Spelling,
        entries: impl IntoIterator<Item = (&'a str, M)>,
    ) -> Result<Self, (String, KeyFault)> {
        let mut mapped = Self::new(spelling);
        for (key, meaning) in entries {
            let fault = |fault| (key.to_owned(), fault);
            mapped.add(key, meaning).map_err(fault)?;
        }
        Ok(mapped)
    }

    /// Maps one word, or every word that matches a pattern.
    pub(crate) fn add(&mut self, key: &str, meaning: M) -> Result<(), KeyFault> {
        let key = key.trim();
        if key.is_empty() {
            return Err(KeyFault::Empty);
        }
        if key.chars().nth(MAX_KEY_CHARS).is_some() {
            return Err(KeyFault::TooLong);
        }
        match Key::parse(key).ok_or(KeyFault::StarInside)? {
            Key::Word(word) => self.add_word(word, meaning),
            Key::Pattern(pattern) => self.add_pattern(pattern, meaning),
        }
    }

    fn add_word(&mut self, word: String, meaning: M) -> Result<(), KeyFault> {
        if self.spelling == Spelling::Folded
            && let Some(folded) = Folded::new(&word)
        {
            // "A+" and "A-" fold to the same: then only the exact spelling counts.
            let entry = self
                .folded
                .entry(folded.as_str().into())
                .or_insert(Some(meaning));
            *entry = entry.filter(|other| *other == meaning);
        }
        match self.exact.insert(word.into(), meaning) {
            Some(other) if other != meaning => Err(KeyFault::Repeated),
            _ => Ok(()),
        }
    }

    fn add_pattern(&mut self, mut pattern: Pattern, meaning: M) -> Result<(), KeyFault> {
        if self.spelling == Spelling::Folded {
            pattern.text = folded_text(&pattern.text);
            if pattern.text.is_empty() {
                return Err(KeyFault::OnlyStar);
            }
        }
        let disagrees = |(other, means): &(Pattern, M)| {
            (other.covers(&pattern) || pattern.covers(other)) && *means != meaning
        };
        if self.patterns.iter().any(disagrees) {
            return Err(KeyFault::Repeated);
        }
        if self.patterns.len() == MAX_PATTERNS {
            return Err(KeyFault::TooManyPatterns);
        }
        let length = length(&pattern);
        let place = self
            .patterns
            .partition_point(|(other, _)| self::length(other) >= length);
        self.patterns.insert(place, (pattern, meaning));
        Ok(())
    }

    /// Returns whether nothing is mapped.
    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// Folded spellings of the words that are mapped, each with its meaning.
    pub(crate) fn folded(&self) -> impl Iterator<Item = (&str, M)> {
        let words = self.folded.iter();
        words.filter_map(|(word, meaning)| Some((&**word, (*meaning)?)))
    }

    /// Looks a word up: as it is written, then by its folded spelling, then by the longest pattern.
    pub(crate) fn find(&self, word: &str) -> Found<M> {
        if let Some(meaning) = self.exact.get(word) {
            return Found::Is(*meaning);
        }
        let folded = match self.spelling {
            Spelling::Folded if !self.folded.is_empty() => Folded::new(word),
            _ => None,
        };
        let by_spelling = folded.and_then(|folded| self.folded.get(folded.as_str()));
        if let Some(Some(meaning)) = by_spelling {
            return Found::Is(*meaning);
        }
        match self.by_pattern(word) {
            Found::Nothing if by_spelling.is_some() => Found::BySpelling,
            found => found,
        }
    }

    fn by_pattern(&self, word: &str) -> Found<M> {
        if self.patterns.is_empty() {
            return Found::Nothing;
        }
        let folded;
        let word = match self.spelling {
            Spelling::Folded => {
                folded = folded_text(word);
                &folded
            }
            Spelling::Exact => word,
        };
        let mut matching = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.matches(word));
        let Some((longest, meaning)) = matching.next() else {
            return Found::Nothing;
        };
        let as_long = matching.take_while(|(other, _)| length(other) == length(longest));
        match as_long
            .map(|(_, means)| means)
            .all(|means| means == meaning)
        {
            true => Found::Is(*meaning),
            false => Found::Conflict,
        }
    }
}

/// Length of a pattern, in characters.
fn length(pattern: &Pattern) -> usize {
    pattern.text.chars().count()
}

/// A text as [`Folded`] writes it, Latin letters without their marks.
pub(crate) fn plain_latin(text: &str) -> String {
    let plain = |char: char| match char {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    };
    folded_text(text).chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(entries: &[(&str, u8)]) -> Result<Mapped<u8>, KeyFault> {
        let entries = entries.iter().copied();
        Mapped::of(Spelling::Folded, entries).map_err(|(_, fault)| fault)
    }

    #[test]
    fn the_exact_word_prevails_then_the_longest_pattern() {
        let entries = [
            ("Спутник*", 1),
            ("Спутник Лайт*", 2),
            ("*лайт*", 3),
            ("СПУТНИК М", 4),
        ];
        let table = words(&entries).expect("keys");
        for (word, expected) in [
            ("Спутник V", 1),
            ("«Спутник-Лайт» (1 доза)", 2),
            ("Вакцина Лайт", 3),
            ("спутник м", 4),
        ] {
            assert_eq!(table.find(word), Found::Is(expected), "{word}");
        }
        assert_eq!(table.find("ЭпиВакКорона"), Found::Nothing);
    }

    #[test]
    fn patterns_of_one_length_that_disagree_are_a_conflict() {
        let table = words(&[("*гамма*", 1), ("*дельт*", 2), ("*омикр*", 2)]).expect("keys");
        assert_eq!(table.find("гамма и дельта"), Found::Conflict);
        assert_eq!(table.find("дельта и омикрон"), Found::Is(2));
        for pair in [["ковид*", "*ковид*"], ["*ковид", "*КОВИД*"], ["a*", "A *"]]
        {
            let entries = [(pair[0], 1), (pair[1], 2)];
            assert_eq!(words(&entries).err(), Some(KeyFault::Repeated), "{pair:?}");
            assert!(words(&[(pair[0], 1), (pair[1], 1)]).is_ok());
        }
        assert!(words(&[("ковид*", 1), ("*ковид", 2)]).is_ok());
    }

    #[test]
    fn spellings_that_fold_alike_count_as_they_are() {
        let table = words(&[("A+", 1), ("A-", 2)]).expect("keys");
        assert_eq!(table.find("A+"), Found::Is(1));
        assert_eq!(table.find("A-"), Found::Is(2));
        assert_eq!(table.find("a"), Found::BySpelling);
        let table = words(&[("A+", 1), ("A-", 2), ("a*", 3)]).expect("keys");
        assert_eq!(table.find("a"), Found::Is(3));
    }

    #[test]
    fn a_key_without_effect_is_a_fault() {
        let long = "x".repeat(MAX_KEY_CHARS + 1);
        for (key, fault) in [
            (" ", KeyFault::Empty),
            ("*", KeyFault::OnlyStar),
            ("**", KeyFault::OnlyStar),
            ("*-*", KeyFault::OnlyStar),
            ("+*", KeyFault::OnlyStar),
            ("a*b", KeyFault::StarInside),
            (&long, KeyFault::TooLong),
        ] {
            assert_eq!(words(&[(key, 1)]).err(), Some(fault), "{key}");
        }
        assert!(words(&[(&long[1..], 1), ("+", 2), (r"\*", 3)]).is_ok());
        assert_eq!(
            words(&[("x", 1), (" x", 2)]).err(),
            Some(KeyFault::Repeated)
        );
        assert!(words(&[("x", 1), (" x", 1)]).is_ok());
    }

    #[test]
    fn codes_of_a_system_are_not_folded() {
        let entries = [("J07*", 1), ("J07BX03", 2), ("*", 3)];
        let codes = Mapped::of(Spelling::Exact, entries).expect("keys");
        assert_eq!(codes.find("J07BB02"), Found::Is(1));
        assert_eq!(codes.find("J07BX03"), Found::Is(2));
        assert_eq!(codes.find("j07bx03"), Found::Is(3));
    }

    #[test]
    fn the_number_of_patterns_is_bounded() {
        let keys: Vec<String> = (0..=MAX_PATTERNS).map(|one| format!("x{one}*")).collect();
        let table = |count: usize| {
            let entries: Vec<(&str, u8)> = keys[..count].iter().map(|key| (&**key, 1)).collect();
            words(&entries).err()
        };
        assert_eq!(table(MAX_PATTERNS), None);
        assert_eq!(table(MAX_PATTERNS + 1), Some(KeyFault::TooManyPatterns));
    }
}
