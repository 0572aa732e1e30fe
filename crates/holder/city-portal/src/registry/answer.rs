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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reason(length: usize) -> Value {
        json!({ "code": "x", "ru": "я".repeat(length), "en": "x" })
    }

    fn refused(reasons: &[Value]) -> bool {
        let answer = json!({ "outcome": "refused", "reasons": reasons });
        PassesReply::read(answer.to_string().as_bytes()).is_ok()
    }

    #[test]
    fn reasons_are_limited_in_number_and_length() {
        assert!(refused(&[reason(MAX_SENTENCE_CHARS)]));
        assert!(!refused(&[reason(MAX_SENTENCE_CHARS + 1)]));
        assert!(!refused(&[reason(0)]));
        assert!(refused(&vec![reason(1); MAX_REASONS]));
        assert!(!refused(&vec![reason(1); MAX_REASONS + 1]));
        assert!(!refused(&[]));
    }

    #[test]
    fn strips_are_limited_in_number() {
        let answer = |count: usize| {
            let strip = json!({
                "from": "2026-11-28T21:00:00Z", "until": "2026-11-29T21:00:00Z", "text": "HC1:",
            });
            let answer = json!({ "outcome": "strips", "strips": vec![strip; count] });
            PassesReply::read(answer.to_string().as_bytes()).is_ok()
        };
        assert!(answer(1) && answer(MAX_STRIPS));
        assert!(!answer(0) && !answer(MAX_STRIPS + 1));
    }

    #[test]
    fn days_are_in_order_and_from_today_on() {
        let read = |covered: Value| {
            let reasons = [reason(1)];
            let answer = json!({ "today": "2026-11-29", "covered": covered, "reasons": reasons });
            EligibilityReply::read(answer.to_string().as_bytes())
        };
        let today = json!([{ "from": "2026-11-29", "last": "2026-11-29" }]);
        assert!(read(today).is_ok_and(|answer| answer.is_entitled()));
        let later = json!([{ "from": "2026-11-30", "last": null }]);
        assert!(read(later).is_ok_and(|answer| !answer.is_entitled()));
        for wrong in [
            json!([{ "from": "2026-11-28", "last": null }]),
            json!([{ "from": "2026-11-30", "last": "2026-11-29" }]),
            json!([{ "from": "2026-12-02", "last": null }, { "from": "2026-11-30", "last": null }]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
