//! Words as people write them, reduced to what distinguishes them: lower-case letters and digits.

/// Longest name that is looked up, in bytes after folding: 256 Cyrillic letters, twice the longest
/// name of a vaccine in the Russian register.
pub(super) const MAX_BYTES: usize = 512;

/// Most words of a name that are looked at one by one.
const MAX_WORDS: usize = 64;

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

/// A text of any length as [`Folded`] writes it.
pub(crate) fn folded_text(text: &str) -> String {
    text.chars()
        .filter(|char| char.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .map(|char| if char == 'ё' { 'е' } else { char })
        .collect()
}

/// Lower case of the letters that nearly all words are made of, without Unicode's tables.
fn quick_lower(char: char) -> char {
    match char {
        'А'..='Я' => char::from_u32(u32::from(char) + 0x20).unwrap_or(char),
        _ => char.to_ascii_lowercase(),
    }
}

/// Words of a name, each folded, one after the other, so that neighbours can be read as one.
pub(super) struct Words {
    text: String,
    /// End of each word in the text.
    ends: Vec<usize>,
}

impl Words {
    /// Splits a name at everything that is neither letter nor digit; `None` where nothing is left,
    /// or where there are more words or bytes than are looked at.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mut words = Self {
            text: String::with_capacity(name.len()),
            ends: Vec::new(),
        };
        for char in name.chars().filter(|char| !is_invisible(*char)) {
            if char.is_alphanumeric() {
                let lower = char.to_lowercase();
                words
                    .text
                    .extend(lower.map(|char| if char == 'ё' { 'е' } else { char }));
            } else {
                words.end_word();
            }
        }
        words.end_word();
        let is_short = words.text.len() <= MAX_BYTES && words.len() <= MAX_WORDS;
        (is_short && words.len() > 0).then_some(words)
    }

    fn end_word(&mut self) {
        let begin = self.ends.last().copied().unwrap_or(0);
        if begin == self.text.len() {
            return;
        }
        if let Some(word) = in_one_script(&self.text[begin..]) {
            self.text.truncate(begin);
            self.text.push_str(&word);
        }
        self.ends.push(self.text.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Words from the first of these numbers up to, not including, the second, as one.
    pub(super) fn joined(&self, from: usize, to: usize) -> &str {
        let begin = match from.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        let end = match to.checked_sub(1) {
            Some(last) if last >= from => self.ends[last],
            _ => begin,
        };
        &self.text[begin..end]
    }

    /// Longest run of words from this one on, of at most `most`, of which `known` knows something;
    /// with the number of the word after it.
    pub(super) fn longest<T>(
        &self,
        from: usize,
        most: usize,
        known: impl Fn(&str) -> Option<T>,
    ) -> Option<(T, usize)> {
        let ends = (from + 1..=self.len().min(from + most)).rev();
        ends.into_iter()
            .find_map(|to| known(self.joined(from, to)).map(|found| (found, to)))
    }
}

/// Latin letters in a Cyrillic word, as typed by mistake, as the Cyrillic ones of the same look;
/// `None` where the word is in one script, or has a Latin letter that looks like none.
fn in_one_script(word: &str) -> Option<String> {
    let is_latin = |char: char| char.is_ascii_alphabetic();
    let is_cyrillic = |char: char| ('\u{400}'..='\u{4ff}').contains(&char);
    if !word.contains(is_latin) || !word.contains(is_cyrillic) {
        return None;
    }
    let twin = |char: char| match char {
        'a' => Some('а'),
        'b' => Some('в'),
        'c' => Some('с'),
        'e' => Some('е'),
        'h' => Some('н'),
        'k' => Some('к'),
        'm' => Some('м'),
        'o' => Some('о'),
        'p' => Some('р'),
        't' => Some('т'),
        'x' => Some('х'),
        'y' => Some('у'),
        latin if latin.is_ascii_alphabetic() => None,
        other => Some(other),
    };
    word.chars().map(twin).collect()
}

/// Characters that no reader sees, and that part no word: the soft hyphen, joiners, marks.
const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_folded_and_joined() {
        let words = Words::new("  «Гам-КОВИД-Вак» (Спут\u{ad}ник V)").unwrap();
        assert_eq!(words.len(), 5);
        assert_eq!(words.joined(0, 3), "гамковидвак");
        assert_eq!(words.joined(3, 5), "спутникv");
        assert_eq!(words.joined(3, 4), "спутник");
        assert_eq!(words.joined(2, 2), "");
        let known = |text: &str| (text == "гамковид").then_some(7);
        assert_eq!(words.longest(0, 6, known), Some((7, 2)));
        assert_eq!(words.longest(1, 6, known), None);
        let mixed = Words::new("Cпутник V, нe CпутникV").unwrap();
        assert_eq!(mixed.joined(0, 3), "спутникvне");
        assert_eq!(
            mixed.joined(3, 4),
            "cпутникv",
            "V looks like no Cyrillic letter"
        );
        assert!(Words::new(" -- ").is_none());
        assert!(Words::new(&"a ".repeat(MAX_WORDS)).is_some());
        assert!(Words::new(&"a ".repeat(MAX_WORDS + 1)).is_none());
        assert!(Words::new(&"я".repeat(MAX_BYTES / 2)).is_some());
        assert!(Words::new(&"я".repeat(MAX_BYTES / 2 + 1)).is_none());
    }

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
