//! Names of tests, read word by word: the virus, and how it is looked for.

use std::collections::HashMap;
use std::sync::LazyLock;

use contract::TestCode;

use super::Meaning;
use super::fold::Words;

/// Most words that are read as one ("SARS-CoV-2", "новой коронавирусной инфекции").
const MAX_WORDS_AS_ONE: usize = 4;

/// What a word of a test's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The virus or its disease, and no other.
    Virus,
    /// Nucleic acid, or its amplification.
    NucleicAcid,
    /// A protein of the virus.
    Antigen,
    /// A rapid test.
    Rapid,
    /// What the body makes against the virus.
    Antibody,
    /// What only a test for antibodies looks at.
    OfAntibodies,
    /// What does not matter.
    Beside,
}

const VIRUS: &[&str] = &[
    "sarscov2",
    "covid",
    "covid19",
    "covid2019",
    "ковид",
    "ковид19",
    "ковида",
    "ncov",
    "2019ncov",
    "ncov2019",
    "новойкоронавируснойинфекции",
    "новаякоронавируснаяинфекция",
    "новуюкоронавируснуюинфекцию",
];

const NUCLEIC_ACID: &[&str] = &[
    "пцр",
    "отпцр",
    "рнк",
    "pcr",
    "rtpcr",
    "rna",
    "naat",
    "naa",
    "arn",
    "полимеразной",
    "полимеразная",
    "амплификации",
    "амплификация",
    "amplification",
    "пцртест",
    "pcrtest",
    "rrtpcr",
    "nat",
];

const ANTIGEN: &[&str] = &[
    "антиген",
    "антигена",
    "антигену",
    "антигены",
    "антигенов",
    "антигенный",
    "аг",
    "antigen",
    "antigens",
    "antigène",
    "antigene",
    "antigénique",
    "antigenique",
    "antigentest",
    "ag",
];

const RAPID: &[&str] = &[
    "экспресс",
    "экспрессом",
    "экспресстест",
    "экспресстестирование",
    "быстрый",
    "иха",
    "иммунохроматография",
    "иммунохроматографический",
    "иммунохроматографическим",
    "иммунохроматографии",
    "rapid",
    "rapide",
    "schnelltest",
    "schnell",
    "immunochromatography",
    "immunochromatographic",
    "express",
];

/// Words that say two things at once.
const ANTIGEN_AND_RAPID: &[&str] = &["antigenschnelltest"];

const ANTIBODY: &[&str] = &[
    "антитела",
    "антител",
    "антителам",
    "antibody",
    "antibodies",
    "anticorps",
    "antikörper",
    "antikoerper",
    "anti",
    "анти",
    "igg",
    "igm",
    "iga",
    "ig",
    "ab",
    "ат",
    "иммуноглобулины",
    "иммуноглобулинов",
    "иммуноглобулин",
    "серология",
    "серологический",
    "serology",
];

const OF_ANTIBODIES: &[&str] = &[
    "сыворотка",
    "сыворотке",
    "крови",
    "кровь",
    "serum",
    "serumorplasma",
    "serumplasmaorblood",
    "serumorplasmaorblood",
    "plasma",
    "ser",
    "pl",
    "serpl",
    "blood",
    "плазма",
    "плазме",
    "ифа",
    "ихла",
    "иммуноферментный",
    "elisa",
    "clia",
    "s",
    "n",
    "spike",
    "белку",
    "белка",
    "белок",
    "protein",
    "нуклеокапсид",
    "нуклеокапсидному",
    "шиповидному",
    "rbd",
    "total",
    "суммарные",
    "суммарных",
    "нейтрализующие",
    "neutralizing",
    "класса",
    "классов",
    "g",
    "m",
    "a",
    "количественно",
    "количественное",
    "количественный",
    "quantitative",
    "units",
    "volume",
    "титр",
    "titer",
    "коронавирусу",
    "вирусу",
    "бау",
    "bau",
];

const BESIDE: &[&str] = &[
    "тест",
    "теста",
    "тестирование",
    "test",
    "testing",
    "tests",
    "исследование",
    "исследования",
    "анализ",
    "определение",
    "определения",
    "выявление",
    "обнаружение",
    "детекция",
    "detection",
    "détection",
    "recherche",
    "nachweis",
    "качественное",
    "качественный",
    "качественно",
    "ql",
    "qualitative",
    "методом",
    "метод",
    "method",
    "by",
    "using",
    "with",
    "в",
    "из",
    "на",
    "к",
    "и",
    "для",
    "по",
    "с",
    "со",
    "of",
    "in",
    "the",
    "to",
    "for",
    "from",
    "an",
    "pour",
    "de",
    "du",
    "la",
    "le",
    "par",
    "en",
    "der",
    "des",
    "die",
    "auf",
    "мазок",
    "мазка",
    "мазке",
    "мазках",
    "соскоб",
    "соскобе",
    "отделяемое",
    "отделяемом",
    "носоглотка",
    "носоглотки",
    "носоглотке",
    "ротоглотка",
    "ротоглотки",
    "ротоглотке",
    "зева",
    "зев",
    "зеве",
    "носа",
    "нос",
    "слизистой",
    "оболочки",
    "материал",
    "материале",
    "биоматериал",
    "верхних",
    "дыхательных",
    "путей",
    "респираторный",
    "вирус",
    "вируса",
    "virus",
    "коронавирус",
    "коронавируса",
    "коронавирусной",
    "коронавирусная",
    "инфекции",
    "инфекция",
    "инфекцию",
    "coronavirus",
    "disease",
    "presence",
    "respiratory",
    "specimen",
    "unspecified",
    "system",
    "upper",
    "nasopharynx",
    "nasopharyngeal",
    "oropharyngeal",
    "throat",
    "nose",
    "nasal",
    "swab",
    "probe",
    "resp",
    "nph",
    "immunoassay",
    "ia",
    "real",
    "time",
    "реального",
    "реальном",
    "времени",
    "режиме",
    "стандартный",
    "цепной",
    "цепная",
    "реакции",
    "реакция",
    "нуклеиновых",
    "кислот",
    "nucleic",
    "acid",
    "от",
    "rt",
    "лаборатория",
    "единичный",
    "один",
    "образец",
    "взятие",
    "poc",
    "panel",
    "панель",
];

static WORDS: LazyLock<HashMap<&'static str, Word>> = LazyLock::new(|| {
    [
        (BESIDE, Word::Beside),
        (OF_ANTIBODIES, Word::OfAntibodies),
        (ANTIBODY, Word::Antibody),
        (RAPID, Word::Rapid),
        (ANTIGEN_AND_RAPID, Word::Antigen),
        (ANTIGEN, Word::Antigen),
        (NUCLEIC_ACID, Word::NucleicAcid),
        (VIRUS, Word::Virus),
    ]
    .into_iter()
    .flat_map(|(words, kind)| words.iter().map(move |word| (*word, kind)))
    .collect()
});

/// Reads a name whose words are all known, which names the virus, and one way to look for it. The
/// virus alone says nothing of the method, and a method alone nothing of the virus, except that
/// antibodies are none.
pub(super) fn phrase(text: &str) -> Meaning<TestCode> {
    let Some(words) = Words::new(text) else {
        return Meaning::Unrecognised;
    };
    let mut said = Vec::with_capacity(words.len());
    let mut rapid = false;
    let mut at = 0;
    while at < words.len() {
        let known = words.longest(at, MAX_WORDS_AS_ONE, |word| WORDS.get(word).copied());
        let Some((word, next)) = known else {
            return Meaning::Unrecognised;
        };
        rapid |= ANTIGEN_AND_RAPID.contains(&words.joined(at, next));
        said.push(word);
        at = next;
    }
    let says = |word: Word| said.contains(&word);
    rapid |= says(Word::Rapid);
    let ways = [Word::NucleicAcid, Word::Antigen, Word::Antibody].map(says);
    // Antibodies are no test for a virus, whichever it is.
    if !says(Word::Virus) && ways != [false, false, true] {
        return Meaning::Unrecognised;
    }
    match (ways, says(Word::OfAntibodies)) {
        ([true, false, false], false) => Meaning::Is(TestCode::RnaRespiratory),
        ([false, true, false], false) if rapid => Meaning::Is(TestCode::AntigenRapid),
        ([false, true, false], false) => Meaning::Is(TestCode::Antigen),
        ([false, false, true], _) => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// Words by what they say, for the documentation.
#[cfg(test)]
pub(super) const DOCUMENTED: [(&str, &[&str]); 5] = [
    ("the virus", VIRUS),
    ("nucleic acid", NUCLEIC_ACID),
    ("antigen", ANTIGEN),
    ("rapid", RAPID),
    ("antibodies", ANTIBODY),
];
