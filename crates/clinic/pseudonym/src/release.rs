//! Release policy of facts: the precision of the dates that leave, and the optional fields that
//! leave, for each kind of fact.

use std::collections::BTreeSet;

use contract::{Fact, FactKind, Precision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::DatePrecision;

/// Optional field of a vaccination.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VaccinationField {
    /// Number of the dose in its course.
    DoseNumber,
    /// Number of doses in the course.
    SeriesDoses,
}

impl VaccinationField {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::DoseNumber, Self::SeriesDoses];

    /// Name used in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoseNumber => "dose-number",
            Self::SeriesDoses => "series-doses",
        }
    }
}

/// Optional field of a recovery.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryField {
    /// Date on which the illness began.
    BeganOn,
}

impl RecoveryField {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::BeganOn];

    /// Name used in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeganOn => "began-on",
        }
    }
}

/// Release of one kind of fact whose optional fields are of the type `F`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindRelease<F: Ord> {
    /// Most exact form of a date that leaves.
    pub dates: DatePrecision,
    /// Optional fields that leave.
    pub fields: BTreeSet<F>,
}

/// Least numbers of persons of the classes of facts that leave alike, by kind of fact; `None` where
/// a class may be of one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SmallestClasses {
    /// Classes of vaccinations.
    pub vaccination: Option<u8>,
    /// Classes of tests.
    pub test: Option<u8>,
    /// Classes of recoveries.
    pub recovery: Option<u8>,
}

/// Days after which facts of classes that stay small leave with coarser dates, by kind of fact;
/// `None` where they go on waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CoarsenAfterDays {
    /// Days for vaccinations.
    pub vaccination: Option<u16>,
    /// Days for tests.
    pub test: Option<u16>,
    /// Days for recoveries.
    pub recovery: Option<u16>,
}

/// Release policy of facts. A source's own `policy.dates` may make its dates coarser, never finer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactRelease {
    /// Vaccinations.
    pub vaccination: KindRelease<VaccinationField>,
    /// Most exact form of a test's date that leaves. The contract requires every field of a test.
    pub test: DatePrecision,
    /// Recoveries.
    pub recovery: KindRelease<RecoveryField>,
    /// Least numbers of persons of a class: facts of smaller ones are withheld.
    pub smallest_classes: SmallestClasses,
    /// Days after which what is withheld leaves with a coarser date. They decide nothing of a fact
    /// that is not withheld, so that a change of them reads nothing again.
    pub coarsen_after_days: CoarsenAfterDays,
}

/// Everything leaves, and dates to the day.
impl Default for FactRelease {
    fn default() -> Self {
        Self {
            vaccination: KindRelease {
                dates: DatePrecision::Day,
                fields: VaccinationField::ALL.into(),
            },
            test: DatePrecision::Day,
            recovery: KindRelease {
                dates: DatePrecision::Day,
                fields: RecoveryField::ALL.into(),
            },
            smallest_classes: SmallestClasses::default(),
            coarsen_after_days: CoarsenAfterDays::default(),
        }
    }
}

/// Optional fields of a kind of fact, by what becomes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OptionalFields {
    /// Names of those that leave.
    pub leave: Vec<&'static str>,
    /// Names of those that stay at the clinic.
    pub stay: Vec<&'static str>,
}

impl OptionalFields {
    fn of<F: Copy + Ord>(all: &[F], leaving: &BTreeSet<F>, name: fn(F) -> &'static str) -> Self {
        let mut fields = Self::default();
        for field in all {
            let list = if leaving.contains(field) {
                &mut fields.leave
            } else {
                &mut fields.stay
            };
            list.push(name(*field));
        }
        fields
    }
}

impl FactRelease {
    /// Most exact form of a date of this kind of fact that leaves.
    #[must_use]
    pub fn precision(&self, kind: FactKind) -> Precision {
        match kind {
            FactKind::Vaccination => self.vaccination.dates,
            FactKind::Test => self.test,
            FactKind::Recovery => self.recovery.dates,
        }
        .into()
    }

    /// Optional fields of this kind of fact.
    #[must_use]
    pub fn optional_fields(&self, kind: FactKind) -> OptionalFields {
        match kind {
            FactKind::Vaccination => OptionalFields::of(
                &VaccinationField::ALL,
                &self.vaccination.fields,
                VaccinationField::as_str,
            ),
            FactKind::Test => OptionalFields::default(),
            FactKind::Recovery => OptionalFields::of(
                &RecoveryField::ALL,
                &self.recovery.fields,
                RecoveryField::as_str,
            ),
        }
    }

    /// Least number of persons of a class of this kind of fact; `None` where one is enough.
    #[must_use]
    pub const fn smallest_class(&self, kind: FactKind) -> Option<u8> {
        match kind {
            FactKind::Vaccination => self.smallest_classes.vaccination,
            FactKind::Test => self.smallest_classes.test,
            FactKind::Recovery => self.smallest_classes.recovery,
        }
    }

    /// Days after which facts of this kind, of classes that stay small, leave with coarser dates;
    /// `None` where they go on waiting.
    #[must_use]
    pub const fn coarsen_after_days(&self, kind: FactKind) -> Option<u16> {
        match kind {
            FactKind::Vaccination => self.coarsen_after_days.vaccination,
            FactKind::Test => self.coarsen_after_days.test,
            FactKind::Recovery => self.coarsen_after_days.recovery,
        }
    }

    /// Text of everything that decides what leaves of this kind of fact; `None` where everything
    /// leaves.
    #[must_use]
    pub fn meaning_for(&self, kind: FactKind) -> Option<String> {
        let everything = Self::default();
        let precision = self.precision(kind);
        let leave = self.optional_fields(kind).leave;
        let is_all = precision == everything.precision(kind)
            && leave == everything.optional_fields(kind).leave;
        let class = self
            .smallest_class(kind)
            .map(|persons| format!(" class {persons}"));
        (!is_all || class.is_some()).then(|| {
            let class = class.unwrap_or_default();
            format!("{precision:?} {}{class}", leave.join(" "))
        })
    }

    pub(crate) fn releases_dose(&self, field: VaccinationField) -> bool {
        self.vaccination.fields.contains(&field)
    }

    pub(crate) fn releases_beginning(&self) -> bool {
        self.recovery.fields.contains(&RecoveryField::BeganOn)
    }

    /// Returns what leaves of a fact.
    pub(crate) fn released(&self, fact: &Fact) -> Fact {
        let mut released = generalised(fact, self.precision(fact.kind()));
        match &mut released {
            Fact::Vaccination {
                dose_number,
                series_doses,
                ..
            } => {
                if !self.releases_dose(VaccinationField::DoseNumber) {
                    *dose_number = None;
                }
                if !self.releases_dose(VaccinationField::SeriesDoses) {
                    *series_doses = None;
                }
            }
            Fact::Test { .. } => {}
            Fact::Recovery { began_on, .. } => {
                if !self.releases_beginning() {
                    *began_on = None;
                }
            }
        }
        released
    }
}

/// The fact with dates no more exact than this.
pub(crate) fn generalised(fact: &Fact, most: Precision) -> Fact {
    match *fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on: occurred_on.generalised_to(most),
        },
        Fact::Test {
            test,
            result,
            occurred_on,
        } => Fact::Test {
            test,
            result,
            occurred_on: occurred_on.generalised_to(most),
        },
        Fact::Recovery {
            began_on,
            occurred_on,
        } => Fact::Recovery {
            began_on: began_on.map(|date| date.generalised_to(most)),
            occurred_on: occurred_on.generalised_to(most),
        },
    }
}

#[cfg(test)]
mod tests {
    use contract::{PartialDate, TestCode, TestResult, Vaccine};

    use super::*;

    fn date(text: &str) -> PartialDate {
        text.parse().unwrap()
    }

    fn facts(date_text: &str, numbers: bool, began: Option<&str>) -> [Fact; 3] {
        [
            Fact::Vaccination {
                vaccine: Vaccine::SputnikV,
                dose_number: numbers.then_some(1),
                series_doses: numbers.then_some(2),
                occurred_on: date(date_text),
            },
            Fact::Test {
                test: TestCode::Rna,
                result: TestResult::NotDetected,
                occurred_on: date(date_text),
            },
            Fact::Recovery {
                began_on: began.map(date),
                occurred_on: date(date_text),
            },
        ]
    }

    #[test]
    fn by_default_everything_leaves_as_it_is() {
        let release = FactRelease::default();
        for fact in facts("2021-07-04", true, Some("2021-06-20")) {
            assert_eq!(release.released(&fact), fact);
        }
    }

    #[test]
    fn what_the_policy_withholds_is_left_out_and_dates_are_coarsened() {
        let release = FactRelease {
            vaccination: KindRelease {
                dates: DatePrecision::Month,
                fields: BTreeSet::new(),
            },
            test: DatePrecision::Month,
            recovery: KindRelease {
                dates: DatePrecision::Month,
                fields: BTreeSet::new(),
            },
            ..FactRelease::default()
        };
        let released =
            facts("2021-07-04", true, Some("2021-06-20")).map(|it| release.released(&it));
        assert_eq!(released, facts("2021-07", false, None));
        // What is coarser already stays as it is.
        let coarse = facts("2021", true, None).map(|fact| release.released(&fact));
        assert_eq!(coarse, facts("2021", false, None));
    }

    #[test]
    fn a_smallest_class_is_part_of_what_decides_and_of_nothing_else() {
        let mut release = FactRelease::default();
        release.smallest_classes.test = Some(5);
        let everything = FactRelease::default();
        for kind in [FactKind::Vaccination, FactKind::Recovery] {
            assert_eq!(release.meaning_for(kind), everything.meaning_for(kind));
        }
        let of_five = release.meaning_for(FactKind::Test);
        assert_eq!(of_five.as_deref(), Some("Day  class 5"));
        assert_eq!(everything.meaning_for(FactKind::Test), None);
        release.test = DatePrecision::Month;
        let coarse = release.meaning_for(FactKind::Test);
        assert_eq!(coarse.as_deref(), Some("Month  class 5"));
    }

    #[test]
    fn the_beginning_of_an_illness_is_coarsened_with_its_end() {
        let mut release = FactRelease::default();
        release.recovery.dates = DatePrecision::Year;
        let [.., recovery] = facts("2021-07-04", true, Some("2021-06-20"));
        let [.., expected] = facts("2021", true, Some("2021"));
        assert_eq!(release.released(&recovery), expected);
    }
}
