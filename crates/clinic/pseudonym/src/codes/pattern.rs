//! Keys with a `*` at their beginning or end, which match more than one word.

/// Character that stands for any text.
const STAR: char = '*';

/// Part of a word that a pattern names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `text*`: the word begins so.
    Beginning,
    /// `*text`: the word ends so.
    End,
    /// `*text*`: the word has it anywhere.
    Anywhere,
}

/// A key, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One word, as it is written.
    Word(String),
    /// A pattern.
    Pattern(Pattern),
}

/// A pattern without its `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    place: Place,
    pub(super) text: String,
}

impl Key {
    /// Takes a key apart; `None` where a `*` stands inside. `\*` is the character itself.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let (starts, rest) = match key.strip_prefix(STAR) {
            Some(rest) => (true, rest),
            None => (false, key),
        };
        let mut text = String::with_capacity(rest.len());
        let mut ends = false;
        let mut chars = rest.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\\' if chars.next_if_eq(&STAR).is_some() => text.push(STAR),
                STAR if chars.peek().is_none() => ends = true,
                STAR => return None,
                other => text.push(other),
            }
        }
        let place = match (starts, ends) {
            (false, false) => return Some(Self::Word(text)),
            (false, true) => Place::Beginning,
            (true, false) if text.is_empty() => Place::Anywhere,
            (true, false) => Place::End,
            (true, true) => Place::Anywhere,
        };
        Some(Self::Pattern(Pattern { place, text }))
    }
}

impl Pattern {
    /// Returns whether a word matches.
    pub(super) fn matches(&self, word: &str) -> bool {
        match self.place {
            Place::Beginning => word.starts_with(&self.text),
            Place::End => word.ends_with(&self.text),
            Place::Anywhere => word.contains(&self.text),
        }
    }

    /// Returns whether every word that matches `other` matches this one, too, at the same length.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.text == other.text && (self.place == other.place || self.place == Place::Anywhere)
    }
}

/// Writes a word as the key that means it and nothing else.
#[must_use]
pub fn literal_key(word: &str) -> String {
    word.replace(STAR, "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(key: &str, word: &str) -> bool {
        let Some(Key::Pattern(pattern)) = Key::parse(key) else {
            panic!("{key} is no pattern");
        };
        pattern.matches(word)
    }

    #[test]
    fn a_star_stands_for_any_text_at_the_beginning_or_the_end() {
        assert!(matches("спутник*", "спутник") && matches("спутник*", "спутникv"));
        assert!(!matches("спутник*", "вакцинаспутник"));
        assert!(matches("*ковид*", "гамковидвак") && matches("*ковид*", "ковид"));
        assert!(matches("*вак", "ковивак") && !matches("*вак", "вакцина"));
    }

    #[test]
    fn a_star_inside_is_no_key_and_one_behind_a_backslash_is_a_character() {
        for key in ["a*b", "**a", "a**", "*a*b*"] {
            assert_eq!(Key::parse(key), None, "{key}");
        }
        let word = |text: &str| Some(Key::Word(text.into()));
        assert_eq!(Key::parse(r"a\*"), word("a*"));
        assert_eq!(Key::parse(r"\*"), word("*"));
        assert_eq!(Key::parse(r"a\b"), word(r"a\b"));
        for text in ["x*", "*", "a*b", "plain", "**"] {
            assert_eq!(Key::parse(&literal_key(text)), word(text));
        }
        assert!(matches(r"a\*b*", "a*bc"));
    }
}
