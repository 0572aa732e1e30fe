//! Words as people write them, reduced to what distinguishes them: lower-case letters and digits.

/// Longest word that is looked up, in bytes after folding.
const MAX_BYTES: usize = 128;

/// A folded word in a fixed buffer, so that a lookup allocates nothing.
pub(crate) struct Folded {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl Folded {
    /// Lower case, letters and digits only, `ё` as `е`; `None` when nothing is left or it is too
    /// long.
    pub(crate) fn new(word: &str) -> Option<Self> {
        let mut folded = Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        };
        for char in word.chars() {
            match char {
                'a'..='z' | '0'..='9' | 'а'..='я' | 'A'..='Z' | 'А'..='Я' => {
                    folded.push(quick_lower(char))?
                }
                _ if char.is_ascii() => {}
                _ if char.is_alphanumeric() => {
                    char.to_lowercase().try_for_each(|char| folded.push(char))?
                }
                _ => {}
            }
        }
        (folded.len > 0).then_some(folded)
    }

    fn push(&mut self, char: char) -> Option<()> {
        let char = if char == 'ё' { 'е' } else { char };
        let end = self.len + char.len_utf8();
        char.encode_utf8(self.bytes.get_mut(self.len..end)?);
        self.len = end;
        Some(())
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only whole characters were written")
    }
}

/// Lower case of the letters that nearly all words are made of, without Unicode's tables.
fn quick_lower(char: char) -> char {
    match char {
        'А'..='Я' => char::from_u32(u32::from(char) + 0x20).unwrap_or(char),
        _ => char.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_folds_by_unicodes_rules() {
        for char in '\0'..=char::MAX {
            let kept = char
                .is_alphanumeric()
                .then(|| char.to_lowercase().to_string().replace('ё', "е"));
            assert_eq!(
                Folded::new(char.encode_utf8(&mut [0; 4])).map(|word| word.as_str().to_owned()),
                kept
            );
        }
    }

    #[test]
    fn spelling_does_not_matter() {
        for word in [
            "Гам-КОВИД-Вак",
            "«гам ковид вак»",
            "ГАМ_КОВИД_ВАК ®",
            "ГамКовидВак",
        ] {
            assert_eq!(Folded::new(word).unwrap().as_str(), "гамковидвак", "{word}");
        }
        assert_eq!(Folded::new("Подтверждён").unwrap().as_str(), "подтвержден");
    }

    #[test]
    fn nothing_and_too_much_fold_to_none() {
        assert!(Folded::new(" +-- ").is_none());
        assert!(Folded::new(&"x".repeat(MAX_BYTES)).is_some());
        assert!(Folded::new(&"x".repeat(MAX_BYTES + 1)).is_none());
        assert!(Folded::new(&"я".repeat(MAX_BYTES / 2 + 1)).is_none());
    }
}
