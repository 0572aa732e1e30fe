//! Characters of a document's number by their places: where the form says that a digit or a letter
//! stands, a look-alike can only be that digit or letter.

use zeroize::Zeroizing;

use super::document::{latin_twin, upper};
use super::normal::significant;

/// Most characters of a number that is read by places.
const MAX_CHARS: usize = 24;

/// Characters that count, upper case, in a buffer that is wiped.
pub(super) struct Spelled {
    chars: Zeroizing<[char; MAX_CHARS]>,
    len: usize,
}

impl Spelled {
    /// Takes the characters that count; `None` if there are more than any form has.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut chars = Zeroizing::new(['\0'; MAX_CHARS]);
        let mut len = 0;
        for char in significant(text).ok()? {
            *chars.get_mut(len)? = upper(char);
            len += 1;
        }
        Some(Self { chars, len })
    }

    /// Divides into what stands before the last `count` characters, and these. The sign of a number
    /// between them (`N`, `NO`, as `№` is typed where there is no such key) is left out.
    pub(super) fn split_number(&self, count: usize) -> Option<(&[char], &[char])> {
        let chars = &self.chars[..self.len];
        let (series, number) = chars.split_at_checked(chars.len().checked_sub(count)?)?;
        let series = match series {
            [series @ .., 'N'] | [series @ .., 'N', 'O' | 'О'] => series,
            series => series,
        };
        Some((series, number))
    }
}

/// Digit that stands, or is meant, where there can only be one.
pub(super) const fn digit(char: char) -> Option<char> {
    match char {
        '0'..='9' => Some(char),
        'O' | 'О' => Some('0'),
        'I' | 'І' => Some('1'),
        'З' => Some('3'),
        _ => None,
    }
}

/// Cyrillic letter that stands, or is meant, where there can only be one; the twelve that look like
/// a Latin one are returned as that.
pub(super) const fn cyrillic_letter(char: char) -> Option<char> {
    match char {
        'А'..='Я' | 'Ё' => Some(latin_twin(char)),
        'A' | 'B' | 'E' | 'K' | 'M' | 'H' | 'O' | 'P' | 'C' | 'T' | 'Y' | 'X' => Some(char),
        '0' => Some('O'),
        '3' => Some('З'),
        _ => None,
    }
}

/// Roman numeral's letters that stand, or are meant, where there can only be such.
pub(super) const fn roman(char: char) -> Option<&'static str> {
    Some(match char {
        // Also U+0406 and U+04C0, the letters of other Cyrillic alphabets.
        'I' | 'І' | 'Ӏ' | '1' | '|' | 'Ⅰ' => "I",
        'V' | 'У' | 'Y' | 'Ⅴ' => "V",
        'X' | 'Х' | 'Ⅹ' => "X",
        'L' | 'Л' | 'Ⅼ' => "L",
        'C' | 'С' | 'Ⅽ' => "C",
        // As typewriters without Latin letters wrote them.
        'П' | 'Ⅱ' => "II",
        'Ш' | 'Ⅲ' => "III",
        'Ⅳ' => "IV",
        'Ⅵ' => "VI",
        'Ⅶ' => "VII",
        'Ⅷ' => "VIII",
        'Ⅸ' => "IX",
        'Ⅺ' => "XI",
        'Ⅻ' => "XII",
        _ => return None,
    })
}
