//! Answers about eligibility and passes.

use chrono::{DateTime, NaiveDate, Utc};
use eligibility::{Eligibility, Language, NoCertificate, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use super::outcome::Outcome;
use crate::passes::{Certified, Issued, Strip};

/// Days on which a person is entitled to a pass, or why not today.
#[derive(Serialize, ToSchema)]
pub(super) struct EligibilityAnswer {
    /// Today in the city's zone.
    today: NaiveDate,
    /// Days that are covered, from today on.
    covered: Vec<Covered>,
    /// Reasons why today is not covered.
    reasons: Vec<ReasonAnswer>,
}

/// Days without a break on which a person is entitled.
#[derive(Serialize, ToSchema)]
struct Covered {
    /// First day.
    from: NaiveDate,
    /// Last day; null where it lies beyond the days that are looked at.
    last: Option<NaiveDate>,
}

/// Reason why a person is not entitled today, or gets no certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct ReasonAnswer {
    /// Stable code.
    code: &'static str,
    /// Sentence in Russian.
    ru: &'static str,
    /// Sentence in English.
    en: &'static str,
}

/// Strips or a certificate, or why there are none.
#[derive(Serialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(super) enum PassesAnswer {
    /// Strips were issued.
    Strips {
        /// In the order of their windows.
        strips: Vec<StripAnswer>,
    },
    /// A certificate was issued.
    Certificate {
        /// The certificate.
        certificate: StripAnswer,
    },
    /// None, and why.
    Refused {
        /// Reasons why the person is not entitled. For a certificate one: `person-in-doubt`, or
        /// `no-certificate` whatever the cause.
        reasons: Vec<ReasonAnswer>,
    },
    /// None: as many were issued for these days, or of this statement, as may be.
    Exhausted,
}

/// Strip for one window, or certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct StripAnswer {
    /// First second in which it holds.
    from: DateTime<Utc>,
    /// First second in which it does not hold any more.
    until: DateTime<Utc>,
    /// Text of the code, `HC1:…`.
    text: String,
}

impl From<Eligibility> for EligibilityAnswer {
    fn from(eligibility: Eligibility) -> Self {
        let covered = eligibility.covered.iter().map(|interval| Covered {
            from: interval.from,
            last: interval.last(),
        });
        Self {
            today: eligibility.today,
            covered: covered.collect(),
            reasons: reasons(&eligibility.reasons),
        }
    }
}

impl PassesAnswer {
    /// Outcome for the log.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Strips { .. } | Self::Certificate { .. } => Outcome::Issued,
            Self::Refused { .. } => Outcome::Refused,
            Self::Exhausted => Outcome::Exhausted,
        }
    }
}

impl From<Strip> for StripAnswer {
    fn from(strip: Strip) -> Self {
        Self {
            from: strip.window.start(),
            until: strip.window.end(),
            text: strip.text,
        }
    }
}

impl From<Certified> for PassesAnswer {
    fn from(certified: Certified) -> Self {
        match certified {
            Certified::Certificate(certificate) => Self::Certificate {
                certificate: certificate.into(),
            },
            Certified::Refused(reason) => Self::Refused {
                reasons: vec![no_certificate(reason)],
            },
            Certified::Exhausted => Self::Exhausted,
        }
    }
}

impl From<Issued> for PassesAnswer {
    fn from(issued: Issued) -> Self {
        match issued {
            Issued::Strips(strips) => Self::Strips {
                strips: strips.into_iter().map(StripAnswer::from).collect(),
            },
            Issued::Refused(refused) => Self::Refused {
                reasons: reasons(&refused),
            },
            Issued::Exhausted => Self::Exhausted,
        }
    }
}

const fn no_certificate(reason: NoCertificate) -> ReasonAnswer {
    ReasonAnswer {
        code: reason.as_str(),
        ru: reason.sentence(Language::Russian),
        en: reason.sentence(Language::English),
    }
}

fn reasons(reasons: &[Reason]) -> Vec<ReasonAnswer> {
    let answer = |reason: &Reason| ReasonAnswer {
        code: reason.as_str(),
        ru: reason.sentence(Language::Russian),
        en: reason.sentence(Language::English),
    };
    reasons.iter().map(answer).collect()
}
