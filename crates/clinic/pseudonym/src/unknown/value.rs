//! A value that nobody has mapped, and whether it may be shown.

use std::fmt;

use connector_kit::Coding;

use crate::codes::literal_key;

/// Longest value that is shown, in characters; a register's long name of a vaccine has 130.
pub const MAX_VALUE_CHARS: usize = 160;

/// Most digits in a row, blanks and hyphens between them included, in a text that is shown: a
/// longer number may be a person's.
const MAX_DIGITS: usize = 8;

/// Most digits of a value that is nothing but a number: codes have up to 18, as those of SNOMED CT.
const MAX_CODE_DIGITS: usize = 18;

/// Table of the configuration that a value could be mapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueTable {
    /// `policy.codes.vaccines`.
    Vaccines,
    /// `policy.codes.tests`.
    Tests,
    /// `policy.codes.results`.
    Results,
    /// `policy.codes.diagnoses`.
    Diagnoses,
    /// `policy.codes.countries`.
    Countries,
    /// Words of a record's status, which the connector maps.
    Status,
    /// No table: two codes of one field that mean different things.
    Conflicts,
}

impl ValueTable {
    /// Every table, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::Vaccines,
        Self::Tests,
        Self::Results,
        Self::Diagnoses,
        Self::Countries,
        Self::Status,
        Self::Conflicts,
    ];

    /// The table's name, as stored, counted in metrics and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaccines => "vaccines",
            Self::Tests => "tests",
            Self::Results => "results",
            Self::Diagnoses => "diagnoses",
            Self::Countries => "countries",
            Self::Status => "status",
            Self::Conflicts => "conflicts",
        }
    }

    /// The table of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }
}

/// A value that nobody has mapped. It may be anything that a clinic has typed, so it is shown only
/// where [`UnknownValue::may_be_shown`] and several persons have it.
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownValue {
    /// Table that could map it.
    pub table: ValueTable,
    /// URI of its code system, where it is a code of one.
    pub system: Option<String>,
    /// The word or code, without outer blanks; never empty.
    pub word: String,
}

impl UnknownValue {
    /// The value of a coding; `None` for an empty one. A system that is no URI is not kept: the
    /// code then counts as the clinic's own.
    pub(crate) fn of_coding(table: ValueTable, coding: &Coding) -> Option<Self> {
        let system = coding.system.as_deref().filter(|system| is_uri(system));
        Self::new(table, system, &coding.code)
    }

    /// A value; `None` for an empty word.
    pub(crate) fn new(table: ValueTable, system: Option<&str>, word: &str) -> Option<Self> {
        let word = word.trim();
        (!word.is_empty()).then(|| Self {
            table,
            system: system.map(str::to_owned),
            word: word.to_owned(),
        })
    }

    /// Key by which the table maps the value: `SYSTEM|CODE`, or the word.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.system {
            Some(system) => format!("{system}|{}", literal_key(&self.word)),
            None => literal_key(&self.word),
        }
    }

    /// Returns whether the key maps this value: a word with a `|` in it would be taken for a code
    /// of a system.
    #[must_use]
    pub fn can_be_key(&self) -> bool {
        self.system.is_some() || !self.word.contains('|')
    }

    /// Returns whether the value is short, one line, printable, and has no long number in it. Only
    /// such a value is shown, and that only once several persons have it.
    #[must_use]
    pub fn may_be_shown(&self) -> bool {
        let key = self.key();
        key.chars().count() <= MAX_VALUE_CHARS
            && key.chars().all(is_printable)
            && (self.is_code() || !has_long_number(&self.word))
    }

    /// Returns whether it is a code of a code system: one word, which is nobody's number.
    fn is_code(&self) -> bool {
        self.system.is_some() && !self.word.contains(char::is_whitespace)
    }

    /// The value as text, apart from its table; [`UnknownValue::from_text`] reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\0{}", self.system.as_deref().unwrap_or(""), self.word)
    }

    /// Reads what [`UnknownValue::to_text`] wrote.
    #[must_use]
    pub fn from_text(table: ValueTable, text: &str) -> Option<Self> {
        let (system, word) = text.split_once('\0')?;
        Self::new(table, Some(system).filter(|it| !it.is_empty()), word)
    }

    /// Form of the word by which spellings count as one: small letters, one blank between words,
    /// `ё` as `е`. Signs stay, since "+" and "-" differ. A code of a system stays as it is.
    pub(super) fn grouped(&self) -> String {
        if self.system.is_some() {
            return self.word.clone();
        }
        let words: Vec<&str> = self.word.split_whitespace().collect();
        words.join(" ").to_lowercase().replace('ё', "е")
    }
}

impl fmt::Debug for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnknownValue({}, [redacted])", self.table.as_str())
    }
}

fn is_uri(system: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-#?=&~+%".contains(&byte);
    system.contains(':') && system.bytes().all(fits)
}

/// No control characters and line ends, and none that take no room, turn the direction of text, or
/// stand for bytes that could not be read.
fn is_printable(char: char) -> bool {
    !char.is_control()
        && !matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a text holds a number that may be a person's. A value that is nothing but digits is a
/// code.
fn has_long_number(word: &str) -> bool {
    let digits = |part: &str| part.chars().filter(|char| char.is_numeric()).count();
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.len() > MAX_CODE_DIGITS;
    }
    word.split(|char: char| !(char.is_numeric() || " -\u{a0}\u{2010}\u{2011}".contains(char)))
        .any(|part| digits(part) > MAX_DIGITS)
}
