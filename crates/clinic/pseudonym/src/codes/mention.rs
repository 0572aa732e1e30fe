//! Whether words speak of COVID-19, however a code beside them is classified.

/// Spellings that stand for nothing else, in lower case.
const ANYWHERE: [&str; 8] = [
    "covid",
    "sars-cov",
    "sars cov",
    "sarscov",
    "коронавирус",
    // A common misspelling.
    "короновирус",
    "coronavirus",
    "2019-ncov",
];

/// Spellings that other words hold inside ("молотковидный"), so that they count only where a word
/// begins.
const AT_A_WORD: [&str; 4] = ["ковид", "постковид", "антиковид", "ncov"];

/// True where the text names the virus or the disease, in Russian or English. Says nothing about
/// what it says of it.
pub(super) fn mentions_covid(text: &str) -> bool {
    let text = text.to_lowercase();
    ANYWHERE.iter().any(|word| text.contains(word))
        || text
            .split(|char: char| !char.is_alphanumeric())
            .any(|word| AT_A_WORD.iter().any(|known| word.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disease_is_heard_in_both_languages_and_in_no_other_word() {
        for text in [
            "SARS-CoV-2 (COVID-19) RNA [Presence] in Saliva",
            "ПЦР Sars Cov 2",
            "Коронавирусная инфекция",
            "вакцина от КОВИДа",
            "Постковидный синдром",
            "Гам-КОВИД-Вак детский",
            "2019-nCoV",
        ] {
            assert!(mentions_covid(text), "{text}");
        }
        for text in [
            "",
            "грипп",
            "Молотковидная деформация",
            "только видимые",
            "Uncovered",
            "Influenza A",
        ] {
            assert!(!mentions_covid(text), "{text}");
        }
    }
}
