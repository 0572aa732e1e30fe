//! Names of tests as laboratories write them.

use contract::TestMethod;

use super::*;

fn named(text: &str) -> Result<TestCode, Unresolved> {
    test_table().resolve(&[Coding::local(text)])
}

#[test]
fn pcr_and_antigen_are_told_apart_and_antibodies_are_none() {
    for text in [
        "Определение РНК коронавируса SARS-CoV-2 методом ПЦР",
        "Определение РНК коронавируса SARS-cov-2 в мазках со слизистой оболочки ротоглотки методом \
         ПЦР",
        "ПЦР-тест на COVID-19",
        "мазок на ковид (ПЦР)",
        "Выявление РНК SARS-CoV-2, ПЦР, качественное исследование",
        "Тест на COVID-19 (ПЦР)",
        "ОТ-ПЦР SARS-CoV-2",
        "ПЦР на новую коронавирусную инфекцию",
        "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory specimen by NAA with probe detection",
        "COVID-19 RT-PCR, nasal swab",
        "SARS-CoV-2 PCR Nachweis",
        "RT-PCR pour SARS-CoV-2",
    ] {
        assert_eq!(named(text), Ok(TestCode::RnaRespiratory), "{text}");
    }
    for text in [
        "экспресс-тест на антиген SARS-CoV-2",
        "ИХА антиген SARS-CoV-2",
        "Антиген SARS-CoV-2 (ИХА)",
        "COVID-19 rapid antigen test",
        "SARS-CoV-2 Antigen-Schnelltest",
        "SARS-CoV-2 (COVID-19) Ag [Presence] in Respiratory specimen by Rapid immunoassay",
    ] {
        assert_eq!(named(text), Ok(TestCode::AntigenRapid), "{text}");
    }
    for text in ["Определение антигена SARS-CoV-2", "COVID-19 Ag"] {
        assert_eq!(named(text), Ok(TestCode::Antigen), "{text}");
    }
    for text in [
        "Антитела IgG к SARS-CoV-2",
        "IgM/IgG SARS-CoV-2, ИФА",
        "Антитела к коронавирусу SARS-CoV-2, IgG, количественно (сыворотка крови)",
        "SARS-CoV-2 (COVID-19) IgG Ab [Presence] in Serum or Plasma by Immunoassay",
        "экспресс-тест на антитела к COVID-19",
        "Антитела к коронавирусу (S-белок)",
        "Anti-SARS-CoV-2 S RBD",
        "антитела",
        "94563-4",
        "94762-2",
    ] {
        assert_eq!(named(text), Err(Unresolved::OutOfScope), "{text}");
    }
    for text in [
        "COVID-19",
        "мазок на ковид",
        "ПЦР",
        "ИХА антиген",
        "экспресс-тест на COVID-19",
        "ПЦР и антитела к SARS-CoV-2",
        "антиген и антитела SARS-CoV-2",
        "ПЦР и антиген SARS-CoV-2",
        "ПЦР SARS-CoV-2, грипп A/B",
        "SARS-CoV-2 N gene by PCR",
        "РНК коронавируса",
        "РНК SARS-CoV",
        "SARS-CoV-2 RNA in Serum",
        "ИФА SARS-CoV-2",
        "антитела и ПЦР",
    ] {
        assert_eq!(named(text), Err(Unresolved::Unknown), "{text}");
    }
}

#[test]
fn loinc_says_pcr_or_antigen() {
    let test = |code: &str| test_table().resolve(&[coded(LOINC, code)]);
    for code in ["94309-2", "94531-1", "95406-5", "94306-8", "94565-9"] {
        assert_eq!(
            test(code).map(TestCode::method),
            Ok(TestMethod::NucleicAcid),
            "{code}"
        );
    }
    for code in ["97097-0", "94558-4", "95209-3", "96119-3"] {
        assert_eq!(
            test(code).map(TestCode::method),
            Ok(TestMethod::Antigen),
            "{code}"
        );
    }
}

#[test]
fn a_code_and_a_name_of_one_test_agree_and_methods_contradict() {
    let test =
        |code: &str, text: &str| test_table().resolve(&[coded(LOINC, code), Coding::local(text)]);
    assert_eq!(
        test("94759-8", "ПЦР SARS-CoV-2"),
        Ok(TestCode::RnaNasopharynx)
    );
    assert_eq!(
        test("94309-2", "ПЦР SARS-CoV-2"),
        Ok(TestCode::RnaRespiratory)
    );
    assert_eq!(test("97097-0", "COVID-19 Ag"), Ok(TestCode::AntigenRapid));
    for (code, text) in [
        ("97097-0", "ПЦР SARS-CoV-2"),
        ("94500-6", "антиген SARS-CoV-2"),
        ("94500-6", "Антитела IgG к SARS-CoV-2"),
    ] {
        assert_eq!(test(code, text), Err(Unresolved::Conflict), "{code} {text}");
    }
}
