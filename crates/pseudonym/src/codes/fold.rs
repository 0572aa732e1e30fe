//! Words as people write them, reduced to what distinguishes them: lower-case letters and digits.

/// Longest word that is looked up, in bytes after folding.
const MAX_BYTES: usize = 128;

/// A folded word in a fixed buffer, so that a lookup allocates nothing.
pub(crate) struct Folded {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl Folded {
    /// Lower case, letters and digits only, `ё` as `е`; `None` when nothing is left or it is too long.
    pub(crate) fn new(word: &str) -> Option<Self> {
        let mut folded = Self { bytes: [0; MAX_BYTES], len: 0 };
        for char in word.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase) {
            let char = if char == 'ё' { 'е' } else { char };
            let end = folded.len + char.len_utf8();
            char.encode_utf8(folded.bytes.get_mut(folded.len..end)?);
            folded.len = end;
        }
        (folded.len > 0).then_some(folded)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only whole characters were written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        for word in ["Гам-КОВИД-Вак", "«гам ковид вак»", "ГАМ_КОВИД_ВАК ®", "ГамКовидВак"]
        {
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
