//! Closed lists of codes: vaccines, tests, results.

/// Vaccines against COVID-19 that a fact may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vaccine {
    /// Gam-COVID-Vac (Sputnik V).
    SputnikV,
    /// Sputnik Light.
    SputnikLight,
    /// EpiVacCorona.
    EpiVacCorona,
    /// CoviVac.
    CoviVac,
    /// Comirnaty (Pfizer-BioNTech).
    Comirnaty,
    /// Spikevax (Moderna).
    Spikevax,
    /// Vaxzevria (AstraZeneca), Covishield.
    Vaxzevria,
    /// Jcovden (Janssen).
    Jcovden,
    /// Nuvaxovid (Novavax).
    Nuvaxovid,
    /// CoronaVac (Sinovac).
    CoronaVac,
    /// BBIBP-CorV (Sinopharm Beijing).
    BbibpCorV,
    /// Covaxin (Bharat Biotech).
    Covaxin,
    /// Convidecia (CanSino).
    Convidecia,
    /// QazVac (QazCovid-in).
    QazVac,
}

impl Vaccine {
    /// All vaccines.
    pub const ALL: [Self; 14] = [
        Self::SputnikV,
        Self::SputnikLight,
        Self::EpiVacCorona,
        Self::CoviVac,
        Self::Comirnaty,
        Self::Spikevax,
        Self::Vaxzevria,
        Self::Jcovden,
        Self::Nuvaxovid,
        Self::CoronaVac,
        Self::BbibpCorV,
        Self::Covaxin,
        Self::Convidecia,
        Self::QazVac,
    ];

    /// Name used in configuration and in the registry's tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SputnikV => "sputnik-v",
            Self::SputnikLight => "sputnik-light",
            Self::EpiVacCorona => "epivaccorona",
            Self::CoviVac => "covivac",
            Self::Comirnaty => "comirnaty",
            Self::Spikevax => "spikevax",
            Self::Vaxzevria => "vaxzevria",
            Self::Jcovden => "jcovden",
            Self::Nuvaxovid => "nuvaxovid",
            Self::CoronaVac => "coronavac",
            Self::BbibpCorV => "bbibp-corv",
            Self::Covaxin => "covaxin",
            Self::Convidecia => "convidecia",
            Self::QazVac => "qazvac",
        }
    }

    /// Code in CVX (`http://hl7.org/fhir/sid/cvx`), the contract's first coding.
    #[must_use]
    pub const fn cvx(self) -> &'static str {
        match self {
            Self::QazVac => "501",
            Self::Covaxin => "502",
            Self::CoviVac => "503",
            Self::SputnikLight => "504",
            Self::SputnikV => "505",
            Self::Convidecia => "506",
            Self::EpiVacCorona => "509",
            Self::BbibpCorV => "510",
            Self::CoronaVac => "511",
            Self::Spikevax => "207",
            Self::Comirnaty => "208",
            Self::Vaxzevria => "210",
            Self::Nuvaxovid => "211",
            Self::Jcovden => "212",
        }
    }

    /// Group in ATC (`http://www.whocc.no/atc`): RNA, vector, inactivated or protein vaccine.
    #[must_use]
    pub const fn atc(self) -> &'static str {
        match self {
            Self::Comirnaty | Self::Spikevax => "J07BN01",
            Self::SputnikV
            | Self::SputnikLight
            | Self::Vaxzevria
            | Self::Jcovden
            | Self::Convidecia => "J07BN02",
            Self::CoviVac | Self::CoronaVac | Self::BbibpCorV | Self::Covaxin | Self::QazVac => {
                "J07BN03"
            }
            Self::EpiVacCorona | Self::Nuvaxovid => "J07BN04",
        }
    }
}

/// Laboratory tests for SARS-CoV-2 RNA (nucleic acid amplification), by LOINC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestCode {
    /// RNA in a respiratory specimen (94500-6).
    RnaRespiratory,
    /// RNA in the nasopharynx (94759-8).
    RnaNasopharynx,
    /// N gene, unspecified specimen (94316-7).
    NGene,
    /// N gene in a respiratory specimen (94533-7).
    NGeneRespiratory,
}

impl TestCode {
    /// All tests.
    pub const ALL: [Self; 4] = [
        Self::RnaRespiratory,
        Self::RnaNasopharynx,
        Self::NGene,
        Self::NGeneRespiratory,
    ];

    /// Code in LOINC (`http://loinc.org`).
    #[must_use]
    pub const fn loinc(self) -> &'static str {
        match self {
            Self::RnaRespiratory => "94500-6",
            Self::RnaNasopharynx => "94759-8",
            Self::NGene => "94316-7",
            Self::NGeneRespiratory => "94533-7",
        }
    }
}

/// Results of a laboratory test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestResult {
    /// The virus was found.
    Detected,
    /// The virus was not found.
    NotDetected,
    /// The laboratory could not tell.
    Inconclusive,
}

impl TestResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Detected, Self::NotDetected, Self::Inconclusive];

    /// Name used in configuration and in the registry's tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::NotDetected => "not-detected",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Code in SNOMED CT (`http://snomed.info/sct`).
    #[must_use]
    pub const fn snomed(self) -> &'static str {
        match self {
            Self::Detected => "260373001",
            Self::NotDetected => "260415000",
            Self::Inconclusive => "419984006",
        }
    }
}
