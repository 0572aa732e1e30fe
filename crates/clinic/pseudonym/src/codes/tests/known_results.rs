//! Words for results as laboratories write them, and that a negation is never lost.

use proptest::prelude::*;

use super::super::names::{DETECTED, INCONCLUSIVE, LOOKED_FOR, NOT_DETECTED};
use super::*;

fn read(text: &str) -> Result<TestResult, Unresolved> {
    result_table().resolve(&[Coding::local(text)])
}

#[test]
fn results_in_full_plural_short_and_other_languages() {
    for text in [
        "положительный",
        "Положительная",
        "положительное",
        "положительные",
        "положительно",
        "обнаружено",
        "обнаружена",
        "обнаружены",
        "обнаружен",
        "выявлен",
        "выявлено",
        "выявлена",
        "выявлены",
        "пол.",
        "полож.",
        "POS",
        "+",
        "Positif",
        "positive",
        "Detected",
        "DETECTED (A)",
        "nachgewiesen",
        "positiv",
        "Reactive",
        "РНК SARS-CoV-2 обнаружена",
        "COVID-19 positive",
        "Результат: положительный",
        "обна\u{ad}ружено",
        "++",
        "слабо положительный",
        "Weakly positive",
        "POS (Ct 23.4)",
        "Положительный, Ct=25",
        "РНК SARS-CoV-2 обнаружена, Сt 31,2",
        "Positive for SARS-CoV-2",
        "положительный на COVID-19",
    ] {
        assert_eq!(read(text), Ok(TestResult::Detected), "{text}");
    }
    for text in [
        "отрицательный",
        "отрицательная",
        "отрицательные",
        "не обнаружено",
        "НЕ ОБНАРУЖЕНЫ",
        "не\u{a0}обнаружена",
        "необнаружено",
        "не выявлен",
        "не выявлены",
        "отр.",
        "отриц.",
        "NEG",
        "négatif",
        "négative",
        "negativ",
        "nicht nachgewiesen",
        "Not Detected",
        "NOT DETECTED (N)",
        "Not reactive",
        "Non-reactive",
        "РНК SARS-CoV-2 не обнаружена",
        "не обнаружена РНК",
        "Результат: отрицательный",
        "COVID-19: negative",
        "не обна\u{ad}ружено",
        "(-)",
        "нe обнаружено",
        "необнар.",
        "Undetectable",
        "Negative for SARS-CoV-2",
        "отрицательно (Ct 40)",
    ] {
        assert_eq!(read(text), Ok(TestResult::NotDetected), "{text}");
    }
    for text in [
        "сомнительный",
        "неопределённый",
        "invalid",
        "брак",
        "Indeterminate",
        "+/-",
        "douteux",
        "РНК SARS-CoV-2: сомнительно",
    ] {
        assert_eq!(read(text), Ok(TestResult::Inconclusive), "{text}");
    }
    for text in [
        "-",
        "0",
        "1",
        "A",
        "N",
        "E",
        "н/д",
        "обнаружено менее 100 копий",
        "Ct 31",
        "31,2",
        "POS 23",
        "POS (Ct)",
        "POS Ct 1 2 3",
        "presumptive positive",
        "false positive",
        "ложноположительный",
        "не слабоположительный",
        "положительная динамика",
        "отрицательный, ранее положительный",
        "не отрицательный",
        "РНК не SARS-CoV-2 обнаружена",
        "not positive",
        "не положительный",
        "",
        "обнаружена РНК гриппа",
        "Антитела обнаружены",
        "negative for flu, positive for covid",
    ] {
        assert_eq!(read(text), Err(Unresolved::Unknown), "{text}");
    }
}

#[test]
fn a_test_without_a_result_is_no_fact() {
    for text in [
        "в работе",
        "Не готов",
        "не проводился",
        "ожидается",
        "РНК SARS-CoV-2: не исследовано",
        "Pending",
        "in progress",
        "NOT DONE",
        "en attente",
    ] {
        assert_eq!(read(text), Err(Unresolved::OutOfScope), "{text}");
    }
    for text in ["pending, positive", "не в работе", "не"] {
        assert_eq!(read(text), Err(Unresolved::Unknown), "{text}");
    }
}

#[test]
fn interpretations_count_only_with_their_system() {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
    let result = |code: &str| result_table().resolve(&[coded(system, code)]);
    assert_eq!(result("DET"), Ok(TestResult::Detected));
    assert_eq!(result("ND"), Ok(TestResult::NotDetected));
    assert_eq!(result("IND"), Ok(TestResult::Inconclusive));
    assert_eq!(read("ND"), Err(Unresolved::Unknown), "or: not done");
}

const NEGATIONS: [&str; 14] = [
    "не", "НЕ", "н е", "нет", "без", "not", "No", "non", "nicht", "kein", "pas", "ne", "never",
    "не-",
];

const GAPS: [&str; 6] = [" ", "", "\u{a0}", "\u{ad}", " - ", "\u{200b} "];

proptest! {
    /// Whatever stands around them, a negation and a word for a virus that was found are never read
    /// as found.
    #[test]
    fn a_negation_is_never_lost(
        negation in prop::sample::select(NEGATIONS.to_vec()),
        word in prop::sample::select(DETECTED.to_vec()),
        subject in prop::sample::select(LOOKED_FOR.to_vec()),
        gaps in prop::array::uniform3(prop::sample::select(GAPS.to_vec())),
        order in Just(vec![0, 1, 2]).prop_shuffle(),
        upper in any::<bool>(),
    ) {
        let word = if upper { word.to_uppercase() } else { word.to_owned() };
        let parts = [negation, &word, subject];
        let text: String = order
            .iter()
            .zip(gaps)
            .map(|(part, gap)| format!("{}{gap}", parts[*part]))
            .collect();
        prop_assert_ne!(read(&text), Ok(TestResult::Detected), "{}", text);
        let with_threshold = format!("{text} Ct 23,4");
        prop_assert_ne!(read(&with_threshold), Ok(TestResult::Detected), "{}", with_threshold);
    }

    /// A word stands for its result, whatever was looked for beside it.
    #[test]
    fn what_was_looked_for_does_not_matter(
        word in prop::sample::select([DETECTED, NOT_DETECTED, INCONCLUSIVE].concat()),
        subject in prop::sample::select(LOOKED_FOR.to_vec()),
        first in any::<bool>(),
    ) {
        let text = if first { format!("{subject}: {word}") } else { format!("{word} ({subject})") };
        prop_assert_eq!(read(&text), read(word), "{}", text);
        prop_assert!(read(word).is_ok(), "{}", word);
    }
}
