//! Words for doses: the numbers that clinics write, and what configuration maps.

use connector_kit::Dose;

use super::{Found, KeyFault, Mapped, Spelling};

/// Largest number of a dose, and of doses.
pub(crate) const MAX_DOSES: u32 = 9;

/// Numbers that a word for a dose states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Number of the dose, 1 to 9.
    pub(crate) number: u8,
    /// Number of doses of the course, 1 to 9, where the word states it (`2/2`).
    pub(crate) series: Option<u8>,
}

/// Meaning of a word for a dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoseWord {
    /// It states numbers.
    Counts(Counts),
    /// It is known to state none, as "booster".
    NoNumber,
    /// It cannot be read.
    Unreadable,
}

/// Words for doses, configured and built in.
pub(crate) struct DoseTable {
    mapped: Mapped<DoseWord>,
}

impl DoseTable {
    /// The table with a configuration's words.
    ///
    /// # Errors
    /// The first key that cannot be used, and why.
    pub(crate) fn new<'a>(
        entries: impl IntoIterator<Item = (&'a str, DoseWord)>,
    ) -> Result<Self, (String, KeyFault)> {
        let mapped = Mapped::of(Spelling::Folded, entries)?;
        Ok(Self { mapped })
    }

    /// Reads a dose.
    pub(crate) fn read(&self, dose: &Dose) -> DoseWord {
        if let Dose::Number(count) = dose
            && self.mapped.is_empty()
        {
            return plain(*count);
        }
        let number;
        let word = match dose {
            Dose::Word(word) => word.trim(),
            Dose::Number(count) => {
                number = count.to_string();
                &number
            }
        };
        match self.mapped.find(word) {
            Found::Is(meaning) => meaning,
            Found::Conflict => DoseWord::Unreadable,
            Found::BySpelling | Found::Nothing => known(word),
        }
    }
}

/// Meaning of a number that nobody has mapped.
fn plain(count: u32) -> DoseWord {
    match u8::try_from(count) {
        Ok(number) if (1..=MAX_DOSES).contains(&count) => DoseWord::Counts(Counts {
            number,
            series: None,
        }),
        _ => DoseWord::Unreadable,
    }
}

/// Meaning that a configuration's value states: `2`, `2/2`; `None` if it states none.
pub(crate) fn counts(value: &str) -> Option<Counts> {
    let digit = |text: &str| match text.trim().as_bytes() {
        [digit @ b'1'..=b'9'] => Some(digit - b'0'),
        _ => None,
    };
    match value.split_once('/') {
        None => digit(value).map(|number| Counts {
            number,
            series: None,
        }),
        Some((number, series)) => Some(Counts {
            number: digit(number)?,
            series: Some(digit(series)?),
        }),
    }
}

/// Part of a word for a dose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Number(u8),
    /// A sign or word between the dose and the doses of the course.
    Of,
    /// An additional dose, whose number within its course is not stated.
    Booster,
    /// The letter V before a number, as the Russian register writes vaccinations.
    Letter,
    /// Says nothing that counts.
    Filler,
}

/// Reads a word without configuration.
fn known(word: &str) -> DoseWord {
    let Some(parts) = parts(word) else {
        return DoseWord::Unreadable;
    };
    if parts.contains(&Part::Booster) {
        return DoseWord::NoNumber;
    }
    let counted: Vec<Part> = parts
        .into_iter()
        .filter(|part| *part != Part::Filler)
        .collect();
    let counted = match counted.as_slice() {
        [Part::Letter, rest @ ..] => rest,
        all => all,
    };
    match *counted {
        [Part::Number(number)] => DoseWord::Counts(Counts {
            number,
            series: None,
        }),
        [Part::Number(number), Part::Of, Part::Number(series)] => DoseWord::Counts(Counts {
            number,
            series: Some(series),
        }),
        _ => DoseWord::Unreadable,
    }
}

/// Takes a word apart; `None` if a part says something unknown.
fn parts(word: &str) -> Option<Vec<Part>> {
    let lower = word.to_lowercase().replace('ё', "е");
    let mut parts = Vec::new();
    let mut follows_disease = false;
    for token in tokens(&lower) {
        let follows_number = matches!(parts.last(), Some(Part::Number(_)));
        let part = match token {
            "/" => Part::Of,
            _ if follows_number && ENDINGS.contains(&token) => Part::Filler,
            // "COVID-19" is no dose.
            "19" if follows_disease => Part::Filler,
            _ => part(token)?,
        };
        follows_disease = DISEASES.contains(&token);
        parts.push(part);
    }
    Some(parts)
}

/// Divides into runs of letters, runs of digits, and slashes; `2.0` is one run.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let kind = |char: char| match char {
        '/' | '\\' => 3,
        _ if char.is_numeric() => 2,
        _ if char.is_alphabetic() => 1,
        _ => 0,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|char| kind(char) == 0);
        let first = rest.chars().next()?;
        if kind(first) == 3 {
            rest = &rest[1..];
            return Some("/");
        }
        let end = rest
            .find(|char| kind(char) != kind(first))
            .unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        if kind(first) == 2 {
            let fraction = after.strip_prefix('.').unwrap_or(after);
            let whole = fraction.trim_start_matches('0');
            let ends = !whole.starts_with(|char: char| char.is_numeric());
            if fraction.len() < after.len() && whole.len() < fraction.len() && ends {
                rest = whole;
            }
        }
        Some(token)
    })
}

fn part(token: &str) -> Option<Part> {
    if token.bytes().all(|byte| byte.is_ascii_digit()) {
        return match token.trim_start_matches('0').as_bytes() {
            [digit @ b'1'..=b'9'] => Some(Part::Number(digit - b'0')),
            _ => None,
        };
    }
    let listed = |(words, part): &(&[&str], Part)| words.contains(&token).then_some(*part);
    WORDS.iter().find_map(listed)
}

/// Endings of ordinal numbers in figures: `1st`, `2-я`, `3ème`.
const ENDINGS: &[&str] = &[
    "st", "nd", "rd", "th", "я", "ая", "ья", "й", "ый", "ой", "ий", "е", "ое", "ье", "ю", "ую",
    "ью", "го", "er", "ere", "ère", "re", "eme", "ème", "e", "o", "a",
];

/// Names of the disease, which a number follows that is none of a dose.
const DISEASES: &[&str] = &["covid", "ковид"];

/// Words, in small letters.
const WORDS: &[(&[&str], Part)] = &[
    // Roman numerals up to four, with the Cyrillic letters of the same look. `V` is the letter of
    // vaccinations, so what begins with it could be a number or that letter.
    (&["i", "і", "ⅰ"], Part::Number(1)),
    (&["ii", "іі", "ⅱ"], Part::Number(2)),
    (&["iii", "ііі", "ⅲ"], Part::Number(3)),
    (&["iv", "іv", "ⅳ"], Part::Number(4)),
    (
        &[
            "first",
            "one",
            "первая",
            "первый",
            "первое",
            "первой",
            "первую",
            "первичная",
            "один",
            "одна",
            "première",
            "premiere",
            "premier",
            "un",
            "une",
        ],
        Part::Number(1),
    ),
    (
        &[
            "second",
            "two",
            "вторая",
            "второй",
            "второе",
            "вторую",
            "два",
            "две",
            "deuxième",
            "deuxieme",
            "seconde",
            "deux",
        ],
        Part::Number(2),
    ),
    (
        &[
            "third",
            "three",
            "третья",
            "третий",
            "третье",
            "третьей",
            "третью",
            "три",
            "troisième",
            "troisieme",
            "trois",
        ],
        Part::Number(3),
    ),
    (
        &[
            "fourth",
            "four",
            "четвертая",
            "четвертый",
            "четвертое",
            "четвертой",
            "четыре",
            "quatrième",
            "quatrieme",
            "quatre",
        ],
        Part::Number(4),
    ),
    (
        &[
            "fifth",
            "five",
            "пятая",
            "пятый",
            "пятое",
            "пятой",
            "пять",
            "cinquième",
            "cinq",
        ],
        Part::Number(5),
    ),
    (&["of", "из", "sur", "de", "von"], Part::Of),
    (
        &[
            "booster",
            "boost",
            "бустер",
            "бустерная",
            "бустерный",
            "бустерной",
            "rv",
            "рв",
            "ревакцинация",
            "ревакцинации",
            "revaccination",
            "rappel",
            "additional",
            "дополнительная",
            "supplémentaire",
            "supplementaire",
        ],
        Part::Booster,
    ),
    (&["v"], Part::Letter),
    (
        &[
            "dose",
            "doses",
            "dosis",
            "доза",
            "дозы",
            "дозу",
            "доз",
            "d",
            "n",
            "no",
            "number",
            "номер",
            "vaccination",
            "vaccine",
            "вакцинация",
            "вакцинации",
            "вакцина",
            "вакцины",
            "прививка",
            "прививки",
            "injection",
            "shot",
            "jab",
            "этап",
            "component",
            "компонент",
            "компонента",
            "covid",
            "ковид",
            "против",
            "от",
            "against",
            "the",
        ],
        Part::Filler,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> String {
        let table = DoseTable::new([]).expect("nothing is mapped");
        shown(table.read(&Dose::Word(word.into())))
    }

    fn shown(word: DoseWord) -> String {
        match word {
            DoseWord::Counts(Counts { number, series }) => match series {
                Some(series) => format!("{number}/{series}"),
                None => number.to_string(),
            },
            DoseWord::NoNumber => "-".into(),
            DoseWord::Unreadable => "?".into(),
        }
    }

    #[test]
    fn the_words_that_clinics_write_are_known() {
        for (word, expected) in [
            ("1", "1"),
            (" 02 ", "2"),
            ("2.0", "2"),
            ("2.00", "2"),
            ("9", "9"),
            ("1st", "1"),
            ("2nd dose", "2"),
            ("First", "1"),
            ("I", "1"),
            ("ii", "2"),
            ("ІІ", "2"),
            ("III", "3"),
            ("IV", "4"),
            ("V1", "1"),
            ("V2", "2"),
            ("первая", "1"),
            ("Вторая доза", "2"),
            ("1-я", "1"),
            ("2-ая прививка", "2"),
            ("доза 2", "2"),
            ("Доза №1", "1"),
            ("dose1", "1"),
            ("COVID-19 vaccine dose 2", "2"),
            ("1ère", "1"),
            ("2e dose", "2"),
            ("2/2", "2/2"),
            ("1 / 2", "1/2"),
            ("2/1", "2/1"),
            ("2 of 2", "2/2"),
            ("1 из 2", "1/2"),
            ("доза 2 из 2", "2/2"),
            ("I/II", "1/2"),
            ("Booster", "-"),
            ("бустер", "-"),
            ("Ревакцинация", "-"),
            ("RV", "-"),
            ("RV1", "-"),
            ("3 (booster)", "-"),
            ("1st booster dose", "-"),
        ] {
            assert_eq!(read(word), expected, "{word}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_read() {
        for word in [
            "",
            "0",
            "10",
            "77",
            "1.5",
            "2.05",
            "-",
            "V",
            "VI",
            "VII",
            "1 2",
            "1,2",
            "1/2/3",
            "1/",
            "/2",
            "dose",
            "complete",
            "1 мл",
            "0,5",
            "19",
            "первая и вторая",
            "01.02.2021",
            "Иванов",
            "half",
            "2/0",
        ] {
            assert_eq!(read(word), "?", "{word}");
        }
    }

    #[test]
    fn numbers_are_words_as_well() {
        let plain = DoseTable::new([]).expect("nothing is mapped");
        for (number, expected) in [(0, "?"), (1, "1"), (9, "9"), (10, "?"), (257, "?")] {
            assert_eq!(shown(plain.read(&Dose::Number(number))), expected);
        }
        let table = DoseTable::new([("0", DoseWord::NoNumber)]).expect("one key");
        assert_eq!(shown(table.read(&Dose::Number(0))), "-");
        assert_eq!(shown(table.read(&Dose::Number(9))), "9");
        assert_eq!(shown(table.read(&Dose::Number(10))), "?");
        assert_eq!(shown(table.read(&Dose::Number(u32::MAX))), "?");
    }

    #[test]
    fn configured_words_prevail() {
        let three = DoseWord::Counts(counts("3").expect("a count"));
        let entries = [("бустер*", three), ("V", DoseWord::NoNumber)];
        let table = DoseTable::new(entries).expect("keys");
        let read = |word: &str| shown(table.read(&Dose::Word(word.into())));
        assert_eq!(read("Бустерная доза"), "3");
        assert_eq!(read("v"), "-");
        assert_eq!(read("booster"), "-");
    }

    #[test]
    fn a_configured_count_is_a_number_or_two() {
        for (text, expected) in [("1", true), ("9", true), ("2/2", true), (" 1 / 2 ", true)] {
            assert_eq!(counts(text).is_some(), expected, "{text}");
        }
        for text in ["", "0", "10", "2/", "/2", "2/0", "2/2/2", "two", "II"] {
            assert_eq!(counts(text), None, "{text}");
        }
    }
}
