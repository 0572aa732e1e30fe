//! Names of tables and columns in one form: small Latin letters, whatever language and alphabet
//! they are written in, so that one list of words serves them all.

/// Name in its common form, and its words.
pub(super) struct Name {
    /// Letters and digits alone.
    pub joined: String,
    /// Parts between underscores, capitals and other signs.
    pub words: Vec<String>,
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        let mut words: Vec<String> = vec![String::new()];
        let mut before = ' ';
        for char in name.chars() {
            let begins = char.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
            if (begins || !char.is_alphanumeric()) && words.last().is_some_and(|w| !w.is_empty()) {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                char.to_lowercase()
                    .filter(|lower| lower.is_alphanumeric())
                    .for_each(|lower| push_latin(word, lower));
            }
            before = char;
        }
        words.retain(|word| !word.is_empty());
        Self {
            joined: words.concat(),
            words,
        }
    }

    pub(super) fn has_word(&self, wanted: &str) -> bool {
        self.words.iter().any(|word| word == wanted)
    }
}

/// Appends a small letter in Latin letters without accents.
fn push_latin(word: &mut String, letter: char) {
    let latin = match letter {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' => "g",
        'д' => "d",
        'е' | 'ё' | 'э' | 'é' | 'è' | 'ê' | 'ë' => "e",
        'ж' => "zh",
        'з' => "z",
        'и' | 'î' | 'ï' => "i",
        'й' | 'ы' => "y",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' | 'ô' => "o",
        'п' => "p",
        'р' => "r",
        'с' | 'ç' => "s",
        'т' => "t",
        'у' | 'ù' | 'û' | 'ü' => "u",
        'ф' => "f",
        'х' => "h",
        'ц' => "c",
        'ч' => "ch",
        'ш' | 'щ' => "sh",
        'ь' | 'ъ' => "",
        'ю' => "yu",
        'я' => "ya",
        'à' | 'â' => "a",
        other => return word.push(other),
    };
    word.push_str(latin);
}

/// Words by which a table or column is recognised; each list is parted by blanks.
pub(super) struct Words {
    /// Whole names, the surest first.
    pub whole: &'static str,
    /// Single words of a name.
    pub words: &'static str,
    /// Parts of a name; only long ones.
    pub parts: &'static str,
    /// Parts of names that are something else, unless the whole name is listed.
    pub never: &'static str,
}

impl Words {
    /// How surely a name is meant: 0 for not at all.
    pub(super) fn score(&self, name: &Name) -> u32 {
        let place = |list: &str, fits: &dyn Fn(&str) -> bool| {
            let place = list.split_whitespace().position(fits)?;
            Some(u32::try_from(place).unwrap_or(40).min(40))
        };
        if let Some(place) = place(self.whole, &|word| name.joined == word) {
            return 200 - place;
        }
        let mut never = self.never.split_whitespace();
        if never.any(|never| name.joined.contains(never)) {
            return 0;
        }
        place(self.words, &|word| name.has_word(word))
            .map(|place| 120 - place)
            .or_else(|| place(self.parts, &|part| name.joined.contains(part)).map(|at| 80 - at))
            .unwrap_or(0)
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        self.score(&Name::new(name)) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_languages_come_to_one_form() {
        for (name, words) in [
            ("date_given", "date given"),
            ("dateGiven", "date given"),
            ("PatientID", "patient id"),
            ("Дата_вакцинации", "data vakcinacii"),
            ("СНИЛС", "snils"),
            ("Numéro de sécurité", "numero de securite"),
            ("ОМС№", "oms"),
            ("dose2Date", "dose2 date"),
        ] {
            assert_eq!(Name::new(name).words.join(" "), words, "{name}");
        }
    }

    #[test]
    fn a_whole_name_counts_more_than_a_word_and_a_word_more_than_a_part() {
        const DOSE: Words = Words {
            whole: "dose dosenumber",
            words: "doza",
            parts: "dosenum",
            never: "next",
        };
        let score = |name| DOSE.score(&Name::new(name));
        assert!(score("dose") > score("dose_number"));
        assert!(score("dose_number") > score("nomer_doza"));
        assert!(score("nomer_doza") > score("my_dosenumber"));
        assert_eq!((score("next_dose"), score("overdose")), (0, 0));
    }
}
