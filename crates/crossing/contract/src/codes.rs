//! Closed lists of codes: tests, results.

/// Ways in which a test looks for the virus. One never stands for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestMethod {
    /// Nucleic acid amplification, as PCR.
    NucleicAcid,
    /// Immunoassay for a protein of the virus.
    Antigen,
}

/// Laboratory tests for SARS-CoV-2 itself, by LOINC. Tests for antibodies are none.
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
    /// RNA, unspecified specimen (94309-2).
    Rna,
    /// Antigen by immunoassay, rapid or not (96119-3).
    Antigen,
    /// Antigen by rapid immunoassay (94558-4).
    AntigenRapid,
}

impl TestCode {
    /// All tests.
    pub const ALL: [Self; 7] = [
        Self::RnaRespiratory,
        Self::RnaNasopharynx,
        Self::NGene,
        Self::NGeneRespiratory,
        Self::Rna,
        Self::Antigen,
        Self::AntigenRapid,
    ];

    /// Code in LOINC (`http://loinc.org`).
    #[must_use]
    pub const fn loinc(self) -> &'static str {
        match self {
            Self::RnaRespiratory => "94500-6",
            Self::RnaNasopharynx => "94759-8",
            Self::NGene => "94316-7",
            Self::NGeneRespiratory => "94533-7",
            Self::Rna => "94309-2",
            Self::Antigen => "96119-3",
            Self::AntigenRapid => "94558-4",
        }
    }

    /// Way in which the test looks for the virus.
    #[must_use]
    pub const fn method(self) -> TestMethod {
        match self {
            Self::RnaRespiratory
            | Self::RnaNasopharynx
            | Self::NGene
            | Self::NGeneRespiratory
            | Self::Rna => TestMethod::NucleicAcid,
            Self::Antigen | Self::AntigenRapid => TestMethod::Antigen,
        }
    }

    /// Test that this one is a closer description of, so that both may be said of one test; never
    /// one of another method.
    #[must_use]
    pub const fn broader(self) -> Option<Self> {
        match self {
            Self::Rna | Self::Antigen => None,
            Self::RnaRespiratory | Self::NGene => Some(Self::Rna),
            Self::RnaNasopharynx | Self::NGeneRespiratory => Some(Self::RnaRespiratory),
            Self::AntigenRapid => Some(Self::Antigen),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broader_test_is_of_the_same_method() {
        for test in TestCode::ALL {
            let mut all = TestCode::ALL.into_iter();
            let index = all.position(|one| one.loinc() == test.loinc());
            assert_eq!(index.map(|index| TestCode::ALL[index]), Some(test));
            if let Some(broader) = test.broader() {
                assert_eq!(broader.method(), test.method());
            }
        }
    }
}
