//! Names of vaccines as they are seen in data.

use proptest::prelude::*;

use super::super::vaccine::names;
use super::super::vaccine_names::DESCRIPTIONS;
use super::*;

fn named(text: &str) -> Result<Vaccine, Unresolved> {
    vaccine(&[Coding::local(text)])
}

#[test]
fn names_of_registers_and_labels() {
    for (text, expected) in [
        ("Гам-КОВИД-Вак (Спутник-V)", Vaccine::SputnikV),
        ("Гам-КОВИД-Вак, компонент I", Vaccine::SputnikV),
        ("ГАМ-КОВИД-ВАК компонент 2", Vaccine::SputnikV),
        ("Спутник V (1 компонент)", Vaccine::SputnikV),
        ("Спутник-V, II компонент, 0,5 мл", Vaccine::SputnikV),
        ("Гам-КОВИД-Вак-Лио", Vaccine::SputnikV),
        (
            "Гам-КОВИД-Вак Комбинированная векторная вакцина для профилактики коронавирусной \
             инфекции, вызываемой вирусом SARS-CoV-2",
            Vaccine::SputnikV,
        ),
        (
            "Гам-КОВИД-Вак-М Комбинированная векторная вакцина для профилактики коронавирусной \
             инфекции, вызываемой вирусом SARS-CoV-2, для подростков 12-17 лет",
            Vaccine::SputnikM,
        ),
        ("Спутник М", Vaccine::SputnikM),
        ("Спутник Лайт (компонент I)", Vaccine::SputnikLight),
        (
            "«Спутник Лайт» Векторная вакцина для профилактики коронавирусной инфекции, вызываемой \
             вирусом SARS-CoV-2",
            Vaccine::SputnikLight,
        ),
        (
            "ЭпиВакКорона, вакцина на основе пептидных антигенов для профилактики COVID-19",
            V,
        ),
        ("ЭпиВакКорона-Н", Vaccine::EpiVacCoronaN),
        ("Аврора-КоВ", Vaccine::EpiVacCoronaN),
        ("Аврора-КоВ (ЭпиВакКорона-Н)", Vaccine::EpiVacCoronaN),
        (
            "КовиВак Вакцина коронавирусная инактивированная цельновирионная концентрированная \
             очищенная",
            Vaccine::CoviVac,
        ),
        (
            "Конвасэл® Вакцина субъединичная рекомбинантная для профилактики коронавирусной \
             инфекции, вызываемой вирусом SARS-CoV-2",
            Vaccine::Convacell,
        ),
        ("Бетувакс-КоВ-2", Vaccine::BetuvaxCov2),
        ("Салнавак", Vaccine::Salnavac),
        ("1-я вакцинация Спутник V", Vaccine::SputnikV),
        ("Sputnik V comp. 1", Vaccine::SputnikV),
        ("Gam-Kovid-Vak", Vaccine::SputnikV),
        ("Ковивак (Чумаков)", Vaccine::CoviVac),
        ("PastoCovac", Vaccine::Soberana02),
        ("PastoCovac Plus", Vaccine::SoberanaPlus),
        ("Convidecia Air", Vaccine::OtherCovid19),
        ("GEMCOVAC-19", Vaccine::OtherCovid19),
        ("Kostaive", Vaccine::OtherCovid19),
        ("Комирнати (Пфайзер/Бионтек)", Vaccine::Comirnaty),
        ("Файзер", Vaccine::Comirnaty),
        ("вакцина Модерна", Vaccine::Spikevax),
        ("АстраЗенека", Vaccine::Vaxzevria),
        ("Янссен", Vaccine::Jcovden),
        ("Синовак", Vaccine::CoronaVac),
        ("Синофарм", Vaccine::BbibpCorV),
        ("COVID-19 Vaccine BIBP (Sinopharm)", Vaccine::BbibpCorV),
        ("Cпутник V", Vaccine::SputnikV),
        (
            "SARS-CoV-2 Vaccine (Vero Cell), Inactivated",
            Vaccine::InactivatedVeroCell,
        ),
        (
            "CoronaVac, SARS-CoV-2 Vaccine (Vero Cell), Inactivated",
            Vaccine::CoronaVac,
        ),
        ("WIBP-CorV (Sinopharm)", Vaccine::WibpCorV),
        ("Хаят-Вакс", Vaccine::HayatVax),
        (
            "Pfizer-BioNTech COVID-19 Vaccine, 30 mcg/0.3 mL",
            Vaccine::Comirnaty,
        ),
        ("COMIRNATY Original/Omicron BA.4-5", Vaccine::Comirnaty),
        (
            "Comirnaty JN.1 (3 mcg) children 6 months - 4 years",
            Vaccine::Comirnaty,
        ),
        ("Moderna COVID-19 Vaccine, Bivalent", Vaccine::Spikevax),
        ("Spikevax XBB.1.5", Vaccine::Spikevax),
        ("COVID-19 Vaccine Janssen", Vaccine::Jcovden),
        ("vaccin Pfizer", Vaccine::Comirnaty),
        ("Vaccin contre la COVID-19 de Moderna", Vaccine::Spikevax),
        (
            "COVID-19 Vaccine Covishield (AstraZeneca)",
            Vaccine::Covishield,
        ),
        ("Novavax Covovax", Vaccine::Covovax),
        ("Covid-19 (recombinant)", Vaccine::VaxzevriaFiocruz),
        ("EU/1/20/1528", Vaccine::Comirnaty),
        ("EU/1/20/1528/001", Vaccine::Comirnaty),
        ("eu/1/21/1580", Vaccine::VidPrevtynBeta),
        ("EU/1/21/1624", Vaccine::Valneva),
        ("28581000087106", Vaccine::Comirnaty),
        ("Soberana 02", Vaccine::Soberana02),
        ("Soberana Plus", Vaccine::SoberanaPlus),
        ("Abdala", Vaccine::Abdala),
        ("MVC-COV1901", Vaccine::MvcCov1901),
        ("Bimervax", Vaccine::Bimervax),
        ("R-COVI", Vaccine::RCovi),
        ("Turkovac", Vaccine::OtherCovid19),
    ] {
        assert_eq!(named(text), Ok(expected), "{text}");
    }
}

const V: Vaccine = Vaccine::EpiVacCorona;

#[test]
fn what_is_not_certain_is_no_vaccine() {
    for text in [
        "Спутник",
        "Спутник, компонент I",
        "Вакцина для профилактики новой коронавирусной инфекции (COVID-19)",
        "отказ от Спутник V",
        "Спутник V - противопоказан",
        "не Спутник V",
        "Спутник V или Спутник Лайт",
        "Вакцина АстраЗенека, назальная, спрей, для детей",
        "Синовак, инактивированная вакцина",
        "Moderna mRNA vaccine, adults",
        "COVID-19 recombinant spike protein vaccine, adjuvanted",
        "Butantan",
        "Гам-КОВИД-Вак для подростков 12-17 лет",
        "Pfizer Prevenar 13",
        "Гриппол + Спутник V",
        "COVID-19, mRNA, LNP-S, PF",
        "EU/1/20/1529",
        "EU/1/20/1528/1",
        "208",
        "J07BX03",
        "Гам",
    ] {
        assert_eq!(named(text), Err(Unresolved::Unknown), "{text}");
    }
    let long = format!("Спутник V {}", "вакцина ".repeat(40));
    assert_eq!(named(&long), Err(Unresolved::Unknown));
}

#[test]
fn two_vaccines_in_one_name_are_a_conflict() {
    for text in [
        "Спутник V / Спутник Лайт",
        "Гам-КОВИД-Вак (ЭпиВакКорона)",
        "ЭпиВакКорона / ЭпиВакКорона-Н",
        "Pfizer, Moderna",
        "Гам-КОВИД-Вак и Гам-КОВИД-Вак-М",
    ] {
        assert_eq!(named(text), Err(Unresolved::Conflict), "{text}");
    }
}

#[test]
fn a_code_and_a_closer_name_agree() {
    for (code, text, expected) in [
        ("210", "COVISHIELD", Ok(Vaccine::Covishield)),
        ("211", "Covovax", Ok(Vaccine::Covovax)),
        ("213", "Pfizer", Ok(Vaccine::Comirnaty)),
        ("208", "Moderna", Err(Unresolved::Conflict)),
        ("505", "Спутник Лайт", Err(Unresolved::Conflict)),
    ] {
        let codings = [coded(CVX, code), Coding::local(text)];
        assert_eq!(vaccine(&codings), expected, "{text}");
    }
    let union_register = "https://ec.europa.eu/health/documents/community-register/html/";
    for (code, expected) in [
        ("EU/1/20/1507", Vaccine::Spikevax),
        ("Sputnik-Light", Vaccine::SputnikLight),
        ("Covid-19-adsorvida-inativada", Vaccine::CoronaVacButantan),
        (
            "Inactivated-SARS-CoV-2-Vero-Cell",
            Vaccine::InactivatedVeroCell,
        ),
    ] {
        assert_eq!(
            vaccine(&[coded(union_register, code)]),
            Ok(expected),
            "{code}"
        );
    }
}

proptest! {
    /// Spelling, words of components and amounts never make a name another vaccine.
    #[test]
    fn words_beside_a_name_change_nothing(
        index in any::<prop::sample::Index>(),
        beside in prop::sample::select(vec![
            "", "вакцина", "компонент I", "II компонент", "0,5 мл", "Vaccine", "COVID-19", "1 доза",
        ]),
        upper in any::<bool>(),
        first in any::<bool>(),
    ) {
        let is_name = |(name, _): &(&str, Vaccine)| !DESCRIPTIONS.contains(name);
        let all: Vec<_> = names().filter(is_name).collect();
        let (name, expected) = *index.get(&all);
        let name = if upper { name.to_uppercase() } else { name.to_owned() };
        let text = if first {
            format!("«{name}», {beside}")
        } else {
            format!("{beside} ({name})")
        };
        prop_assert_eq!(named(&text), Ok(expected), "{}", text);
    }

    /// Two names of vaccines that are no forms of each other never come to one.
    #[test]
    fn two_names_agree_or_conflict(
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let is_name = |(name, _): &(&str, Vaccine)| !DESCRIPTIONS.contains(name);
        let all: Vec<_> = names().filter(is_name).collect();
        let one = one.get(&all);
        let other = other.get(&all);
        let both = named(&format!("{} / {}", one.0, other.0));
        let expected = narrower(one.1, other.1, Vaccine::broader).ok_or(Unresolved::Conflict);
        // Two names that are one name together are that one ("Спутник" has no meaning, so few are).
        let together = format!("{}{}", one.0, other.0);
        prop_assume!(!all.iter().any(|(name, _)| *name == together));
        prop_assert_eq!(both, expected, "{} / {}", one.0, other.0);
    }
}
