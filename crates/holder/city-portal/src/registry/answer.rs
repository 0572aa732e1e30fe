//! Answers of the registry, read within limits; fields that are not known are passed over.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{RegistryFault, RegistryFaultKind};
use crate::limits::{MAX_REASONS, MAX_SENTENCE_CHARS, MAX_STRIPS};

/// Days on which a person is entitled, or why not today.
#[derive(Deserialize)]
pub(crate) struct EligibilityReply {
    /// Today in the city's zone.
    pub today: NaiveDate,
    /// Days that are covered, from today on.
    pub covered: Vec<CoveredDays>,
    /// Reasons why today is not covered.
    pub reasons: Vec<RegistryReason>,
}

/// Days without a break.
#[derive(Deserialize, Serialize)]
pub(crate) struct CoveredDays {
    /// First day.
    pub from: NaiveDate,
    /// Last day; `None` where it lies beyond the days that are looked at.
    pub last: Option<NaiveDate>,
}

/// Reason why a person is not entitled.
#[derive(Deserialize, Serialize)]
pub(crate) struct RegistryReason {
    code: String,
    ru: String,
    en: String,
}

/// Passes, or why there are none.
#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(crate) enum PassesReply {
    /// Strips in the order of their windows.
    Strips {
        /// The strips.
        strips: Vec<IssuedPass>,
    },
    /// Certificate.
    Certificate {
        /// The certificate, whose window ends with it.
        certificate: IssuedPass,
    },
    /// None, for these reasons.
    Refused {
        /// The reasons.
        reasons: Vec<RegistryReason>,
    },
    /// None, as there were as many as may be.
    Exhausted,
}

/// Pass with its window.
#[derive(Deserialize)]
pub(crate) struct IssuedPass {
    /// First second in which it holds.
    pub from: DateTime<Utc>,
    /// First second in which it does not hold any more.
    pub until: DateTime<Utc>,
    /// Text of the code.
    pub text: String,
}

/// Body of a problem (RFC 9457).
#[derive(Deserialize)]
pub(super) struct RegistryProblem {
    /// Stable code.
    pub code: String,
}

fn nonsense(what: &'static str) -> RegistryFault {
    RegistryFault::of(RegistryFaultKind::Nonsense).because(what)
}

fn check_reasons(reasons: &[RegistryReason]) -> Result<(), RegistryFault> {
    let is_short = |text: &String| text.chars().nth(MAX_SENTENCE_CHARS).is_none();
    let are_short = |reason: &RegistryReason| {
        let texts = [&reason.code, &reason.ru, &reason.en];
        texts
            .into_iter()
            .all(|text| !text.is_empty() && is_short(text))
    };
    if reasons.len() > MAX_REASONS || !reasons.iter().all(are_short) {
        return Err(nonsense("too many reasons, or sentences that are too long"));
    }
    Ok(())
}

impl EligibilityReply {
    /// Reads an answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, RegistryFault> {
        let answer: Self =
            serde_json::from_slice(body).map_err(|_| nonsense("no answer about eligibility"))?;
        check_reasons(&answer.reasons)?;
        let in_order = answer.covered.iter().all(|days| {
            days.from >= answer.today && days.last.is_none_or(|last| last >= days.from)
        });
        let is_sorted = answer.covered.is_sorted_by_key(|days| days.from);
        if answer.covered.len() > MAX_STRIPS || !in_order || !is_sorted {
            return Err(nonsense("days that are out of order"));
        }
        if answer.reasons.is_empty() && !answer.is_entitled() {
            return Err(nonsense("no days, and no reasons"));
        }
        Ok(answer)
    }

    /// Returns whether today is covered.
    pub(crate) fn is_entitled(&self) -> bool {
        let first = self.covered.first();
        first.is_some_and(|days| days.from == self.today)
    }
}

impl PassesReply {
    /// Reads an answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, RegistryFault> {
        let answer: Self =
            serde_json::from_slice(body).map_err(|_| nonsense("no answer about passes"))?;
        match &answer {
            Self::Refused { reasons } if reasons.is_empty() => {
                Err(nonsense("refused without a reason"))
            }
            Self::Refused { reasons } => check_reasons(reasons).map(|()| answer),
            Self::Strips { strips } if strips.is_empty() || strips.len() > MAX_STRIPS => {
                Err(nonsense("no strips, or too many"))
            }
            _ => Ok(answer),
        }
    }
}
