//! Initial of a name: one Latin letter, whatever script the name is written in.
//!
//! The rule is one for all: NFC, upper case, Ё as Е, then the first letter of the transliteration
//! by ICAO Doc 9303 part 3, section 6. A name that is written in Cyrillic and the same name from a
//! machine-readable passport thus have one initial, and Latin letters do not mark a foreigner.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Number of characters of a name that are read; what follows them is not looked at.
pub const MAX_NAME_CHARS: usize = 256;

/// Initial of a name: one Latin letter A to Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Initial(u8);

/// Text of every initial, in order.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Cyrillic capital letters by the first letter of their transliteration.
///
/// ICAO Doc 9303 part 3, section 6.B, with the row for Russian where languages differ (Г is G, И is
/// I, Х is KH), because a name does not say its language; Ё is Е by the rule above. Letters that
/// ICAO leaves out stand as in passports of Kazakhstan (Ә Ғ Қ Ң Ө Ұ Ү Һ) and Tajikistan (Ӣ Ӯ Ҳ Ҷ);
/// Ћ is C; ICAO's row for it shows Һ, which looks alike. Ь has no letter and is skipped.
const CYRILLIC: [(char, &str); 26] = [
    ('A', "АӘ"),
    ('B', "Б"),
    ('C', "ЧЋ"),
    ('D', "ДЂЅЏ"),
    ('E', "ЕЁЭ"),
    ('F', "Ф"),
    ('G', "ГЃҐҒ"),
    ('H', "ҲҺ"),
    ('I', "ИЙЪЮЯІЇЄӢ"),
    ('J', "ЈҶ"),
    ('K', "КХЌҚ"),
    ('L', "ЛЉ"),
    ('M', "М"),
    ('N', "НЊҢ"),
    ('O', "ОӨ"),
    ('P', "П"),
    ('Q', ""),
    ('R', "Р"),
    ('S', "СШЩ"),
    ('T', "ТЦ"),
    ('U', "УЎҮҰӮѪ"),
    ('V', "В"),
    ('W', ""),
    ('X', ""),
    ('Y', "ЫѴ"),
    ('Z', "ЖЗ"),
];

/// Latin capitals that are not a base letter with a diacritic (ICAO Doc 9303 part 3, 6.A).
const LATIN: [(char, char); 14] = [
    ('Æ', 'A'),
    ('Ð', 'D'),
    ('Ø', 'O'),
    ('Þ', 'T'),
    ('ẞ', 'S'),
    ('Đ', 'D'),
    ('Ħ', 'H'),
    ('Ŀ', 'L'),
    ('Ĳ', 'I'),
    ('Ł', 'L'),
    ('Ŋ', 'N'),
    ('Œ', 'O'),
    ('Ŧ', 'T'),
    ('Ə', 'E'),
];

/// Letters that are a particle before an apostrophe (d'Artagnan, л'Эпине), and no initial.
const PARTICLES: [char; 4] = ['D', 'L', 'Д', 'Л'];

/// Apostrophes, and letters that Unicode has for them.
const APOSTROPHES: [char; 9] = ['\'', '’', '‘', 'ʼ', 'ʻ', 'ʹ', '′', '`', '´'];

impl Initial {
    /// Initial of a name in any script; `None` where it has no letter, or a letter of a script
    /// without a rule (Arabic, Han).
    ///
    /// Whatever stands before the first letter is skipped: spaces, digits, `<`, apostrophes, and
    /// the particles d' and l'. Only the first [`MAX_NAME_CHARS`] characters are read.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let capitals = name
            .chars()
            .take(MAX_NAME_CHARS)
            .flat_map(char::to_uppercase);
        let mut characters = capitals
            .nfc()
            .filter(|letter| !is_skipped(*letter))
            .peekable();
        while let Some(character) = characters.next() {
            let before_apostrophe = characters.peek().copied().is_some_and(is_apostrophe);
            let is_particle = before_apostrophe && PARTICLES.contains(&character);
            if !is_apostrophe(character) && !is_particle {
                return Self::of_capital(character);
            }
        }
        None
    }

    /// Initial that a capital letter stands for.
    fn of_capital(letter: char) -> Option<Self> {
        let base = letter.nfd().next()?;
        [letter, base].into_iter().find_map(Self::in_tables)
    }

    fn in_tables(letter: char) -> Option<Self> {
        if let Ok(initial) = Self::try_from(letter) {
            return Some(initial);
        }
        let latin = LATIN.iter().find(|(from, _)| *from == letter);
        if let Some((_, to)) = latin {
            return Self::try_from(*to).ok();
        }
        let row = CYRILLIC.iter().find(|(_, from)| from.contains(letter));
        row.and_then(|(to, _)| Self::try_from(*to).ok())
    }

    /// The 26 initials, from A to Z.
    pub fn all() -> impl Iterator<Item = Self> {
        (b'A'..=b'Z').map(Self)
    }

    /// Place in the alphabet, from 0 for A to 25 for Z.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 - b'A') as usize
    }

    /// Letter as text of one character.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        &LETTERS[self.index()..=self.index()]
    }

    /// Letter as a character.
    #[must_use]
    pub const fn as_char(self) -> char {
        self.0 as char
    }

    /// Cyrillic capital letters that the initial stands for, as text: "СШЩ" for S, "" for Q.
    #[must_use]
    pub fn cyrillic_letters(self) -> &'static str {
        CYRILLIC[self.index()].1
    }
}

/// True for what may precede a name's first letter; apostrophes are looked at by themselves.
fn is_skipped(character: char) -> bool {
    !is_apostrophe(character) && (!character.is_alphabetic() || character == 'Ь')
}

fn is_apostrophe(character: char) -> bool {
    APOSTROPHES.contains(&character)
}

/// Character that is no initial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an initial is one Latin capital letter, A to Z")]
pub struct NotAnInitial;

impl TryFrom<char> for Initial {
    type Error = NotAnInitial;

    fn try_from(letter: char) -> Result<Self, NotAnInitial> {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii_uppercase() => Ok(Self(byte)),
            _ => Err(NotAnInitial),
        }
    }
}

impl TryFrom<&str> for Initial {
    type Error = NotAnInitial;

    fn try_from(text: &str) -> Result<Self, NotAnInitial> {
        match text.as_bytes() {
            [byte] => Self::try_from(char::from(*byte)),
            _ => Err(NotAnInitial),
        }
    }
}

/// Prints no letter: an initial is of a person.
impl fmt::Debug for Initial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Initial([REDACTED])")
    }
}
