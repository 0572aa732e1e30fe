//! Sentence for the citizen in the languages of the page.

use serde::Serialize;

/// Sentence in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Sentence {
    /// Russian.
    pub ru: &'static str,
    /// English.
    pub en: &'static str,
}

impl Sentence {
    /// Sentence where more people ask than may be answered.
    pub(crate) const TOO_MANY: Self = Self::new(
        "Сейчас слишком много обращений к порталу. Попробуйте позже.",
        "Too many people are asking the portal now. Try later.",
    );

    /// Sentence in Russian and English.
    pub(crate) const fn new(ru: &'static str, en: &'static str) -> Self {
        Self { ru, en }
    }
}
