//! Answers to the page: always JSON with an outcome, never a bare error.

use chrono::{DateTime, NaiveDate, Utc};
use pass::hcert::{Entry, TestKind};
use pass::holder::{HolderAttributes, Initial};
use serde::Serialize;

use crate::citizen::FormFault;
use crate::outcome::RequestOutcome;
use crate::pseudonyms::KeyServiceFault;
use crate::registry::{
    CoveredDays, EligibilityReply, RegistryFault, RegistryFaultKind, RegistryReason,
};
use crate::sentence::Sentence;

/// Answer to the page.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum PageAnswer {
    /// Status, and what the door will see.
    Status(Box<ShownStatus>),
    /// Codes of today.
    Codes {
        /// Codes, each to be shown once.
        codes: Vec<Code>,
        /// Name of the city's time zone, in which the page shows times.
        zone: &'static str,
        /// Attributes that the door will see.
        holder: ShownHolder,
    },
    /// Sheet of paper.
    Sheet(Box<Sheet>),
    /// Certificate.
    Certificate(Box<ShownCertificate>),
    /// No pass, for reasons of the registry.
    Refused {
        /// Reasons.
        reasons: Vec<RegistryReason>,
    },
    /// No pass, as there were as many as may be.
    Exhausted(Sentence),
    /// Fields that cannot be used.
    Fields {
        /// Faults, each of one field.
        fields: Vec<FormFault>,
    },
    /// Problem that stands in the way.
    Problem(CitizenProblem),
}

/// Status of a citizen.
#[derive(Serialize)]
pub(crate) struct ShownStatus {
    /// True where today is covered.
    entitled: bool,
    /// Today in the city.
    today: NaiveDate,
    /// Days that are covered, from today on.
    covered: Vec<CoveredDays>,
    /// Reasons why today is not covered.
    reasons: Vec<RegistryReason>,
    /// Attributes that the door will see.
    holder: ShownHolder,
}

/// Attributes that a pass discloses.
#[derive(Serialize)]
pub(crate) struct ShownHolder {
    given: Option<Letter>,
    family: Option<Letter>,
    day: Option<u8>,
    month: Option<u8>,
}

/// Initial, and the Cyrillic letters that it stands for.
#[derive(Serialize)]
struct Letter {
    latin: &'static str,
    cyrillic: &'static str,
}

/// Code on the screen.
#[derive(Serialize)]
pub(crate) struct Code {
    /// Picture of the code.
    pub svg: String,
    /// Text of the code.
    pub text: String,
    /// First second in which it holds.
    pub from: DateTime<Utc>,
    /// First second in which it does not hold any more.
    pub until: DateTime<Utc>,
}

/// Sheet of paper.
#[derive(Serialize)]
pub(crate) struct Sheet {
    /// The sheet as SVG, for print.
    pub svg: String,
    /// The sheet as PDF, in base64.
    pub pdf: String,
    /// First second in which it holds.
    pub from: DateTime<Utc>,
    /// First second in which it does not hold any more.
    pub until: DateTime<Utc>,
    /// Name of the city's time zone.
    pub zone: &'static str,
    /// Attributes that the door will see.
    pub holder: ShownHolder,
}

/// Certificate that states one fact.
#[derive(Serialize)]
pub(crate) struct ShownCertificate {
    /// Picture of the code.
    pub svg: String,
    /// Text of the code.
    pub text: String,
    /// First second in which it does not hold any more.
    pub until: DateTime<Utc>,
    /// Name of the city's time zone.
    pub zone: &'static str,
    /// Statement of the certificate.
    pub states: States,
    /// Initials that it discloses.
    pub holder: ShownHolder,
}

/// Statement of a certificate.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum States {
    /// A vaccination.
    Vaccination {
        /// Code of the product.
        product: String,
        /// Number of the dose.
        dose: u8,
        /// Doses of the series.
        doses: u8,
        /// Day of the dose.
        date: NaiveDate,
        /// Country.
        country: String,
    },
    /// A recovery.
    Recovery {
        /// Day of the first positive test.
        first_positive: NaiveDate,
        /// Country.
        country: String,
    },
    /// A negative test.
    Test {
        /// `naat` or `rat`.
        method: &'static str,
        /// When the sample was taken.
        sampled: DateTime<Utc>,
        /// Country.
        country: String,
    },
}

/// Problem that stands in the way.
#[derive(Serialize)]
pub(crate) struct CitizenProblem {
    /// Stable code.
    code: &'static str,
    /// Sentence for the citizen.
    #[serde(flatten)]
    sentence: Sentence,
    /// Seconds after which it may go, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip)]
    outcome: RequestOutcome,
}

impl CitizenProblem {
    /// Problem with a request, found before the registry is asked.
    pub(crate) const fn of(outcome: RequestOutcome, retry_after_seconds: Option<u64>) -> Self {
        Self {
            code: outcome.as_str(),
            sentence: outcome.sentence(),
            retry_after_seconds,
            outcome,
        }
    }
}

impl PageAnswer {
    /// Outcome for the log and the metrics.
    pub(crate) const fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Status(_) => RequestOutcome::Answered,
            Self::Codes { .. } | Self::Sheet(_) | Self::Certificate(_) => RequestOutcome::Issued,
            Self::Refused { .. } => RequestOutcome::Refused,
            Self::Exhausted(_) => RequestOutcome::Exhausted,
            Self::Fields { .. } => RequestOutcome::Fields,
            Self::Problem(problem) => problem.outcome,
        }
    }

    /// Answer where nothing is left for today.
    pub(crate) const fn exhausted() -> Self {
        Self::Exhausted(Sentence::new(
            "Кодов уже выдано столько, сколько можно. Показывайте тот, что у вас есть, или \
             приходите завтра.",
            "As many codes as may be were issued. Show one that you have, or come back tomorrow.",
        ))
    }

    /// Answer where the registry gave none.
    pub(crate) fn of_fault(fault: &RegistryFault) -> Self {
        let outcome = match fault.kind {
            RegistryFaultKind::KeyReused => {
                return Self::Problem(CitizenProblem::of(RequestOutcome::KeyReused, None));
            }
            RegistryFaultKind::SubjectCeiling => RequestOutcome::Ceiling,
            _ => RequestOutcome::Registry,
        };
        Self::Problem(CitizenProblem {
            code: fault.kind.as_str(),
            sentence: fault.kind.sentence(),
            retry_after_seconds: fault.retry_after_seconds,
            outcome,
        })
    }

    /// Answer where the key services gave no evaluation.
    pub(crate) fn of_key_service_fault(fault: &KeyServiceFault) -> Self {
        let kind = fault.kind();
        Self::Problem(CitizenProblem {
            code: kind.as_str(),
            sentence: kind.sentence(),
            retry_after_seconds: fault.retry_after().map(|wait| wait.as_secs()),
            outcome: RequestOutcome::KeyService,
        })
    }
}

impl ShownStatus {
    /// Status by what the registry answered.
    pub(crate) fn of(answer: EligibilityReply, holder: HolderAttributes) -> Self {
        Self {
            entitled: answer.is_entitled(),
            today: answer.today,
            covered: answer.covered,
            reasons: answer.reasons,
            holder: ShownHolder::of(holder),
        }
    }
}

impl ShownHolder {
    /// Attributes as the page shows them.
    pub(crate) fn of(attributes: HolderAttributes) -> Self {
        let letter = |initial: Initial| Letter {
            latin: initial.as_str(),
            cyrillic: initial.cyrillic_letters(),
        };
        Self {
            given: attributes.given_initial().map(letter),
            family: attributes.family_initial().map(letter),
            day: attributes.birth().day(),
            month: attributes.birth().month(),
        }
    }
}

impl From<Entry> for States {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Vaccination(vaccination) => Self::Vaccination {
                product: vaccination.product,
                dose: vaccination.dose,
                doses: vaccination.doses,
                date: vaccination.date,
                country: vaccination.country,
            },
            Entry::Recovery(recovery) => Self::Recovery {
                first_positive: recovery.first_positive,
                country: recovery.country,
            },
            Entry::Test(test) => Self::Test {
                method: match test.kind {
                    TestKind::Naat => "naat",
                    TestKind::Rat => "rat",
                },
                sampled: test.sampled,
                country: test.country,
            },
        }
    }
}
