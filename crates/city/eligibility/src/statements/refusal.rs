//! Reasons why no certificate is issued, with a sentence for the citizen.

use crate::reason::{Language, Reason};

/// Reason why no certificate is issued. Codes are stable; sentences may be reworded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoCertificate {
    /// Records contradict each other about who the person is.
    PersonInDoubt,
    /// No fact carries the statement. It is not told why, so that nobody learns from it whether a
    /// fact is on record, or how precise its date is.
    NoStatement,
}

impl NoCertificate {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::PersonInDoubt, Self::NoStatement];

    /// Code of the reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PersonInDoubt => Reason::PersonInDoubt.as_str(),
            Self::NoStatement => "no-certificate",
        }
    }

    /// Sentence for the citizen.
    #[must_use]
    pub const fn sentence(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::PersonInDoubt, language) => Reason::PersonInDoubt.sentence(language),
            (Self::NoStatement, Language::Russian) => {
                "Сертификат этого вида сейчас не может быть выдан. Если вы считаете это ошибкой, \
                 обратитесь в свою клинику."
            }
            (Self::NoStatement, Language::English) => {
                "A certificate of this kind cannot be issued now. If you think that this is wrong, \
                 please ask your clinic."
            }
        }
    }
}
