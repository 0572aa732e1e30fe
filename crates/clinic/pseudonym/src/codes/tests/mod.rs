//! Codings onto the contract's lists, built in and configured.

use connector_kit::Coding;
use contract::{TestCode, TestResult, Vaccine};

use super::*;

mod known_results;
mod known_tests;
mod known_vaccines;
mod lists;

const CVX: &str = "http://hl7.org/fhir/sid/cvx";
const ATC: &str = "http://www.whocc.no/atc";
const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10";
const ICD_11: &str = "http://id.who.int/icd/release/11/mms";

fn coded(system: &str, code: &str) -> Coding {
    Coding {
        system: Some(system.into()),
        code: code.into(),
    }
}

fn vaccine(codings: &[Coding]) -> Result<Vaccine, Unresolved> {
    vaccine_table().resolve(codings)
}

#[test]
fn every_vaccine_is_known_by_its_cvx_code_and_its_name() {
    for item in Vaccine::ALL {
        let cvx = item.cvx().filter(|_| item != Vaccine::OtherCovid19);
        for system in [CVX, "urn:oid:2.16.840.1.113883.12.292"] {
            let by_code = cvx.map(|code| vaccine(&[coded(system, code)]));
            assert_eq!(by_code.unwrap_or(Ok(item)), Ok(item));
        }
        assert_eq!(
            vaccine(&[Coding::local(item.as_str())]),
            Ok(item),
            "{}",
            item.as_str()
        );
    }
    for (name, item) in [
        ("«Гам-КОВИД-Вак»", Vaccine::SputnikV),
        ("Спутник V", Vaccine::SputnikV),
        ("Спутник Лайт", Vaccine::SputnikLight),
        ("ЭпиВакКорона", Vaccine::EpiVacCorona),
        ("КовиВак", Vaccine::CoviVac),
        ("Pfizer/BioNTech", Vaccine::Comirnaty),
        ("XM5ZJ4", Vaccine::SputnikV),
    ] {
        assert_eq!(vaccine(&[Coding::local(name)]), Ok(item), "{name}");
    }
    for (code, item) in [
        ("XM5ZJ4", Vaccine::SputnikV),
        ("XM5QM6", Vaccine::SputnikLight),
        ("XM6SZ8", Vaccine::EpiVacCorona),
    ] {
        assert_eq!(vaccine(&[coded(ICD_11, code)]), Ok(item), "{code}");
    }
}

#[test]
fn other_vaccines_are_out_of_scope_and_unclear_ones_unknown() {
    for codings in [
        vec![coded(CVX, "140")],
        vec![coded(ATC, "J07BB02")],
        vec![coded(CVX, "88"), Coding::local("7")],
    ] {
        assert_eq!(
            vaccine(&codings),
            Err(Unresolved::OutOfScope),
            "{codings:?}"
        );
    }
    for codings in [
        vec![],
        vec![coded(CVX, "213")],
        vec![coded(CVX, "500")],
        vec![coded(CVX, "522")],
        vec![coded(CVX, "900")],
        vec![coded(CVX, "+207")],
        vec![coded(ATC, "J07BN02")],
        vec![coded(ATC, "J07BX03"), coded(CVX, "140")],
        vec![coded(SNOMED, "1119349007")],
        vec![coded(ICD_11, "XM68M6")],
        vec![coded(SNOMED, "46233009")],
        vec![Coding::local("207")],
        vec![Coding::local("грипп")],
        vec![Coding::local("")],
    ] {
        assert_eq!(vaccine(&codings), Err(Unresolved::Unknown), "{codings:?}");
    }
}

#[test]
fn several_codes_agree_or_conflict() {
    let known = [
        coded(ATC, "J07BN02"),
        coded("urn:x", "17"),
        coded(CVX, "505"),
        Coding::local("Спутник V"),
    ];
    assert_eq!(vaccine(&known), Ok(Vaccine::SputnikV));
    assert_eq!(
        vaccine(&[coded(CVX, "505"), coded(CVX, "504")]),
        Err(Unresolved::Conflict)
    );
}

#[test]
fn tests_are_known_by_loinc() {
    let test = |codings: &[Coding]| test_table().resolve(codings);
    for item in TestCode::ALL {
        assert_eq!(test(&[coded(LOINC, item.loinc())]), Ok(item));
        assert_eq!(test(&[Coding::local(item.loinc())]), Ok(item));
    }
    assert_eq!(
        test(&[Coding::local("ПЦР SARS-CoV-2")]),
        Ok(TestCode::RnaRespiratory)
    );
    assert_eq!(
        test(&[coded(LOINC, "94640-0")]),
        Err(Unresolved::Unknown),
        "a gene that is not found is no negative test"
    );
    assert_eq!(
        test(&[coded(LOINC, "2345-7")]),
        Err(Unresolved::OutOfScope),
        "glucose"
    );
    assert_eq!(
        test(&[coded(LOINC, "94563-4")]),
        Err(Unresolved::OutOfScope),
        "antibodies are no virus"
    );
    assert_eq!(
        test(&[Coding::local("ПЦР")]),
        Err(Unresolved::Unknown),
        "of what?"
    );
    assert_eq!(test(&[Coding::local("2345-7")]), Err(Unresolved::Unknown));
}

#[test]
fn results_by_code_and_word() {
    let result = |coding: Coding| result_table().resolve(&[coding]);
    for item in TestResult::ALL {
        assert_eq!(result(coded(SNOMED, item.snomed())), Ok(item));
        assert_eq!(result(Coding::local(item.as_str())), Ok(item));
    }
    for (word, item) in [
        ("Обнаружено", TestResult::Detected),
        ("не обнаружено", TestResult::NotDetected),
        ("НЕ  ОБНАРУЖЕНО.", TestResult::NotDetected),
        ("Отрицательный", TestResult::NotDetected),
        ("positive", TestResult::Detected),
        ("Not detected", TestResult::NotDetected),
    ] {
        assert_eq!(result(Coding::local(word)), Ok(item), "{word}");
    }
    let interpretation = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
    assert_eq!(
        result(coded(interpretation, "NEG")),
        Ok(TestResult::NotDetected)
    );
    assert_eq!(result(Coding::local("E")), Err(Unresolved::Unknown));
    assert_eq!(result(Coding::local("-")), Err(Unresolved::Unknown));
}

#[test]
fn diagnoses_by_icd() {
    let diagnosis = |coding: Coding| diagnosis_table().resolve(&[coding]);
    for coding in [
        coded(ICD_10, "U07.1"),
        coded("http://hl7.org/fhir/sid/icd-10-cm", "U07.1"),
        coded("urn:oid:1.2.643.5.1.13.13.11.1005", "U07.1"),
        coded(SNOMED, "840539006"),
        coded(ICD_11, "RA01.0"),
        Coding::local("U07.1"),
        Coding::local("u07.1 "),
        Coding::local("У07.1"),
    ] {
        assert_eq!(diagnosis(coding.clone()), Ok(()), "{coding:?}");
    }
    for coding in [
        coded(ICD_10, "J11"),
        Coding::local("J11.1"),
        coded(SNOMED, "38341003"),
        coded(ICD_11, "CA40"),
    ] {
        assert_eq!(
            diagnosis(coding.clone()),
            Err(Unresolved::OutOfScope),
            "{coding:?}"
        );
    }
    for coding in [
        coded(ICD_10, "U07.2"),
        Coding::local("U07.2"),
        Coding::local("пневмония"),
        coded(ICD_10, ""),
    ] {
        assert_eq!(
            diagnosis(coding.clone()),
            Err(Unresolved::Unknown),
            "{coding:?}"
        );
    }
}

#[test]
fn a_diagnosis_written_as_text_is_never_taken_for_another_illness() {
    let diagnosis = |text: &str| {
        let of = |coding: Coding| diagnosis_table().resolve(&[coding]);
        let bare = of(Coding::local(text));
        assert_eq!(bare, of(coded(ICD_10, text)), "{text}");
        bare
    };
    for text in [
        "U07.1 Коронавирусная инфекция, вызванная вирусом COVID-19",
        "u07.1 коронавирусная инфекция",
        "У07.1; J12.8",
        "U07.1,J12.8",
        "U07.1\u{a0}COVID-19, вирус идентифицирован",
        "(U07.1)",
        "U07.1.",
        "U071",
    ] {
        assert_eq!(diagnosis(text), Ok(()), "{text}");
    }
    for text in [
        "U07.10",
        "U07.2 Коронавирусная инфекция, вирус не идентифицирован",
        "У07.2",
        "u07",
        "U07,1 Коронавирусная инфекция",
        "U07.1?",
        "U07.1 ?",
        "U07.1/J12.8",
        "B34.2 Коронавирусная инфекция",
        "В34.2",
        "b97.2",
        "U09.9",
        "J12.8; U07.1",
        "J12.8 (U07.1)",
        "J12.8 Пневмония, вызванная COVID-19",
        "J12.8 коронавирусная",
        "Коронавирусная инфекция U07.1",
        "МКБ-10: U07.1",
        "J00-J06",
        "J111",
        "J11.12345",
        "A1 грипп",
    ] {
        assert_eq!(diagnosis(text), Err(Unresolved::Unknown), "{text}");
    }
    for text in [
        "J11.1 Грипп",
        "j11",
        "J17.1*",
        "Е11.9 Сахарный диабет",
        "J18.-",
        "M20.4 Молотковидная деформация",
    ] {
        assert_eq!(diagnosis(text), Err(Unresolved::OutOfScope), "{text}");
    }
    for (code, expected) in [
        ("ra01.0", Ok(())),
        ("CA40.1/RA01.0", Err(Unresolved::Unknown)),
        ("RA02", Err(Unresolved::Unknown)),
        ("1790791774", Err(Unresolved::Unknown)),
        ("CA40.0Z", Err(Unresolved::OutOfScope)),
    ] {
        assert_eq!(
            diagnosis_table().resolve(&[coded(ICD_11, code)]),
            expected,
            "{code}"
        );
    }
}

#[test]
fn a_standard_code_for_something_else_beside_a_known_word_is_a_conflict() {
    for codings in [
        [coded(CVX, "133"), Coding::local("Pfizer")],
        [Coding::local("Спутник V"), coded(ATC, "J07BB02")],
        [coded(CVX, "998"), coded(CVX, "208")],
    ] {
        assert_eq!(vaccine(&codings), Err(Unresolved::Conflict), "{codings:?}");
    }
    let tests = [coded(LOINC, "2345-7"), Coding::local("ПЦР SARS-CoV-2")];
    assert_eq!(test_table().resolve(&tests), Err(Unresolved::Conflict));
    let diagnosis = |codings: &[Coding]| diagnosis_table().resolve(codings);
    assert_eq!(
        diagnosis(&[coded(ICD_10, "J11"), Coding::local("COVID-19")]),
        Err(Unresolved::Conflict)
    );
    assert_eq!(
        diagnosis(&[coded(ICD_10, "U07.1"), coded(ICD_10, "J12.8")]),
        Ok(()),
        "with its complication"
    );
    let unidentified = [coded(ICD_10, "U07.2"), Coding::local("COVID-19")];
    assert_eq!(
        diagnosis(&unidentified),
        Err(Unresolved::Unknown),
        "the code is more exact than the name"
    );
}

#[test]
fn what_speaks_of_covid_does_not_go_out_of_scope_by_a_standard_alone() {
    let test = |codings: &[Coding]| test_table().resolve(codings);
    let rapid = [coded(LOINC, "94563-4"), Coding::local("ковид, экспресс")];
    assert_eq!(test(&rapid), Err(Unresolved::Unknown));
    for words in ["SARS-CoV-2 (COVID-19) IgG Ab", "Антитела к коронавирусу"] {
        let antibodies = [coded(LOINC, "94563-4"), Coding::local(words)];
        assert_eq!(test(&antibodies), Err(Unresolved::OutOfScope), "{words}");
    }
    let words = "вакцина против COVID-19";
    assert_eq!(
        vaccine(&[coded(CVX, "140"), Coding::local(words)]),
        Err(Unresolved::Unknown)
    );
    assert_eq!(
        vaccine(&[coded(CVX, "140"), Coding::local("Гриппол")]),
        Err(Unresolved::OutOfScope)
    );
    let mut table = test_table();
    table
        .configure([("http://loinc.org|94563-4", Meaning::OutOfScope)])
        .expect("a key");
    let decided = [coded(LOINC, "94563-4"), Coding::local("SARS-CoV-2 IgG")];
    assert_eq!(
        table.resolve(&decided),
        Err(Unresolved::OutOfScope),
        "somebody has decided"
    );
}

#[test]
fn configuration_prevails_and_exact_spelling_decides_ties() {
    let mut table = result_table();
    let yes = Meaning::Is(TestResult::Detected);
    let no = Meaning::Is(TestResult::NotDetected);
    table
        .configure([
            ("A+", yes),
            ("A-", no),
            ("+", yes),
            ("positive", no),
            ("urn:lab|7", yes),
        ])
        .expect("keys");
    let result = |coding: Coding| table.resolve(&[coding]);
    assert_eq!(result(Coding::local("A+")), Ok(TestResult::Detected));
    assert_eq!(result(Coding::local(" A- ")), Ok(TestResult::NotDetected));
    assert_eq!(
        result(Coding::local("a+")),
        Err(Unresolved::Unknown),
        "folds like A-"
    );
    assert_eq!(result(Coding::local("+")), Ok(TestResult::Detected));
    assert_eq!(
        result(Coding::local("Positive")),
        Ok(TestResult::NotDetected)
    );
    assert_eq!(result(coded("urn:lab", "7")), Ok(TestResult::Detected));
    assert_eq!(result(coded("urn:other", "7")), Err(Unresolved::Unknown));
    assert_eq!(result(Coding::local("7")), Err(Unresolved::Unknown));
}

#[test]
fn a_standard_code_can_be_mapped_too() {
    let mut table = test_table();
    table
        .configure([
            ("http://loinc.org|94640-0", Meaning::Is(TestCode::NGene)),
            ("17", Meaning::OutOfScope),
        ])
        .expect("keys");
    assert_eq!(
        table.resolve(&[coded(LOINC, "94640-0")]),
        Ok(TestCode::NGene)
    );
    assert_eq!(
        table.resolve(&[Coding::local("17")]),
        Err(Unresolved::OutOfScope)
    );
}
