//! The `[release]` section: what leaves of each kind of fact, in which padded sizes, and when.

use contract::{FactKind, PaddedSizes, Precision};
use pseudonym::{
    CoarsenAfterDays, DatePrecision, FactRelease, KindRelease, RecoveryField, SmallestClasses,
    VaccinationField,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::slots::SlotRules;

/// Lengths that a slot may have, in seconds.
const SLOT_SECONDS: std::ops::RangeInclusive<u32> = 10..=86_400;

/// Numbers of batches that may leave in a slot. One place may be the beacon's, so that one alone
/// would not be enough; more than a lease takes would never leave.
const BATCHES_PER_SLOT: std::ops::RangeInclusive<u32> = 2..=32;

/// Batches that leave in a slot, where nothing is configured.
const DEFAULT_BATCHES_PER_SLOT: u32 = 8;

/// Numbers of persons that the smallest class may be asked to have.
const SMALLEST_CLASS: std::ops::RangeInclusive<u8> = 2..=100;

/// Most days after which facts of small classes leave with a coarser date.
const MOST_COARSEN_AFTER_DAYS: u16 = 365;

/// Least size, in KiB, that the largest of the sizes in use must have: a probe needs so much.
const LEAST_LARGEST_KIB: u16 = 256;

/// The `[release]` section: what the registry and whoever watches the queue can see of this
/// clinic's facts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseConfig {
    /// Settings that hold where the section does not write another.
    pub preset: ReleasePreset,
    /// Vaccinations.
    pub vaccination: VaccinationReleaseConfig,
    /// Tests. The contract requires every field of a test, so that only its date can be coarsened.
    pub test: TestReleaseConfig,
    /// Recoveries.
    pub recovery: RecoveryReleaseConfig,
    /// Sizes that batches are padded to, in KiB: some of 4, 16, 64, 256 and 1024, with 256 or 1024
    /// among them.
    pub padding_kib: Option<Vec<u16>>,
    /// Length of a slot in seconds, 10 to 86400: batches leave at one moment of each slot and at no
    /// other; 0 for at once.
    #[schemars(range(max = 86_400))]
    pub slot_seconds: Option<u32>,
    /// Longest random delay of that moment in a slot, in seconds; at most half the slot.
    #[schemars(range(max = 43_200))]
    pub jitter_seconds: Option<u32>,
    /// Most batches that leave in a slot, 2 to 32; the rest waits for the next.
    #[schemars(range(min = 2, max = 32))]
    pub batches_per_slot: Option<u32>,
    /// True to fill every slot up to `batches_per_slot` with dummies: sealed batches without an
    /// event, which the registry throws away.
    pub dummies: bool,
}

/// Preset of the release policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReleasePreset {
    /// Every field leaves, dates to the day, in every padded size, at once.
    #[default]
    Embedded,
    /// Dates of recoveries to the month, those of vaccinations and tests to the day; no optional
    /// field; 64 and 256 KiB; 8 batches in a slot of 15 minutes, up to 5 minutes late; no dummies.
    Strict,
}

impl ReleasePreset {
    /// Name used in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Strict => "strict",
        }
    }
}

/// The `[release.vaccination]` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VaccinationReleaseConfig {
    /// Most exact form of the dates that leave.
    pub dates: Option<DatePrecision>,
    /// Optional fields that leave; the others stay.
    pub fields: Option<Vec<VaccinationField>>,
    /// Least number of different persons of this clinic of whom facts that leave alike are known
    /// before any of them leaves, 2 to 100; without it one is enough. Facts of smaller classes are
    /// withheld.
    #[schemars(range(min = 2, max = 100))]
    pub smallest_class: Option<u8>,
    /// Days after which facts of classes that stay small leave with a coarser date, 0 to 365; without
    /// it they go on waiting.
    #[schemars(range(max = 365))]
    pub coarsen_after_days: Option<u16>,
}

/// The `[release.test]` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestReleaseConfig {
    /// Most exact form of the dates that leave.
    pub dates: Option<DatePrecision>,
    /// Least number of different persons of this clinic of whom facts that leave alike are known
    /// before any of them leaves, 2 to 100; without it one is enough. Facts of smaller classes are
    /// withheld.
    #[schemars(range(min = 2, max = 100))]
    pub smallest_class: Option<u8>,
    /// Days after which facts of classes that stay small leave with a coarser date, 0 to 365; without
    /// it they go on waiting.
    #[schemars(range(max = 365))]
    pub coarsen_after_days: Option<u16>,
}

/// The `[release.recovery]` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryReleaseConfig {
    /// Most exact form of the dates that leave.
    pub dates: Option<DatePrecision>,
    /// Optional fields that leave; the others stay.
    pub fields: Option<Vec<RecoveryField>>,
    /// Least number of different persons of this clinic of whom facts that leave alike are known
    /// before any of them leaves, 2 to 100; without it one is enough. Facts of smaller classes are
    /// withheld.
    #[schemars(range(min = 2, max = 100))]
    pub smallest_class: Option<u8>,
    /// Days after which facts of classes that stay small leave with a coarser date, 0 to 365; without
    /// it they go on waiting.
    #[schemars(range(max = 365))]
    pub coarsen_after_days: Option<u16>,
}

/// A setting of the section that cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseMistake {
    /// No size, or one that the contract does not know.
    #[error("release.padding_kib may name 4, 16, 64, 256 and 1024, and must name one at least")]
    Padding,
    /// Sizes that a probe does not fit.
    #[error("release.padding_kib must name 256 or 1024 too: a probe takes so much")]
    PaddingTooSmall,
    /// Length of a slot out of its range.
    #[error("release.slot_seconds must be 0, or 10 to 86400")]
    Slot,
    /// Delay out of its range.
    #[error("release.jitter_seconds must be at most half of release.slot_seconds")]
    Jitter,
    /// Number of batches out of its range.
    #[error("release.batches_per_slot must be 2 to 32")]
    Batches,
    /// Number of persons of a class out of its range.
    #[error("release.{0}.smallest_class must be 2 to 100")]
    SmallestClass(&'static str),
    /// Days to wait for a class out of their range.
    #[error("release.{0}.coarsen_after_days must be 0 to 365")]
    CoarsenAfter(&'static str),
    /// Days to wait for a class where none is asked for.
    #[error("release.{0}.coarsen_after_days has no effect without release.{0}.smallest_class")]
    NoClass(&'static str),
    /// Days to wait for a class where no date is coarser than those that leave anyway.
    #[error("release.{0}.coarsen_after_days has no effect: dates leave to the year already")]
    NothingCoarser(&'static str),
    /// A setting of slots where there are none.
    #[error("release.{0} has no effect without release.slot_seconds")]
    NoSlots(&'static str),
}

impl ReleaseMistake {
    /// What to write instead.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Padding | Self::PaddingTooSmall => {
                "padding_kib = [64, 256] is a good value; without the line all sizes are used"
            }
            Self::Slot => "900 is a good value; 0 lets batches leave at once",
            Self::Jitter => "a third of slot_seconds is a good value",
            Self::Batches => "8 is a good value; a first load takes the longer the fewer they are",
            Self::SmallestClass(_) => {
                "5 is a good value; without the line a class may be of one person"
            }
            Self::CoarsenAfter(_) => {
                "7 is a good value; without the line they wait for their class"
            }
            Self::NothingCoarser(_) => {
                "take the line out, or let dates leave to the day or the month"
            }
            Self::NoClass(_) => "write smallest_class, such as 5, or take the line out",
            Self::NoSlots(_) => "write slot_seconds, such as 900, or take the line out",
        }
    }
}

impl ReleaseConfig {
    /// Release policy of the facts.
    #[must_use]
    pub fn facts(&self) -> FactRelease {
        let preset = match self.preset {
            ReleasePreset::Embedded => FactRelease::default(),
            ReleasePreset::Strict => strict_facts(),
        };
        let of_vaccinations = self.vaccination.fields.as_ref();
        let of_recoveries = self.recovery.fields.as_ref();
        FactRelease {
            vaccination: KindRelease {
                dates: self.vaccination.dates.unwrap_or(preset.vaccination.dates),
                fields: of_vaccinations.map_or(preset.vaccination.fields, |fields| {
                    fields.iter().copied().collect()
                }),
            },
            test: self.test.dates.unwrap_or(preset.test),
            recovery: KindRelease {
                dates: self.recovery.dates.unwrap_or(preset.recovery.dates),
                fields: of_recoveries.map_or(preset.recovery.fields, |fields| {
                    fields.iter().copied().collect()
                }),
            },
            smallest_classes: SmallestClasses {
                vaccination: self.vaccination.smallest_class,
                test: self.test.smallest_class,
                recovery: self.recovery.smallest_class,
            },
            coarsen_after_days: CoarsenAfterDays {
                vaccination: self.vaccination.coarsen_after_days,
                test: self.test.coarsen_after_days,
                recovery: self.recovery.coarsen_after_days,
            },
        }
    }

    /// Checks the least numbers of persons of classes.
    ///
    /// # Errors
    /// [`ReleaseMistake::SmallestClass`], [`ReleaseMistake::CoarsenAfter`],
    /// [`ReleaseMistake::NoClass`] and [`ReleaseMistake::NothingCoarser`].
    pub fn check_classes(&self) -> Result<(), ReleaseMistake> {
        let facts = self.facts();
        for kind in FactKind::ALL {
            let persons = facts.smallest_class(kind);
            let days = facts.coarsen_after_days(kind);
            let is_coarsest = facts.precision(kind) == Precision::Year;
            let kind = kind.as_str();
            if persons.is_some_and(|persons| !SMALLEST_CLASS.contains(&persons)) {
                return Err(ReleaseMistake::SmallestClass(kind));
            }
            if days.is_some_and(|days| days > MOST_COARSEN_AFTER_DAYS) {
                return Err(ReleaseMistake::CoarsenAfter(kind));
            }
            if days.is_some() && persons.is_none() {
                return Err(ReleaseMistake::NoClass(kind));
            }
            if days.is_some() && is_coarsest {
                return Err(ReleaseMistake::NothingCoarser(kind));
            }
        }
        Ok(())
    }

    /// Sizes that batches are padded to.
    ///
    /// # Errors
    /// [`ReleaseMistake`].
    pub fn padded_sizes(&self) -> Result<PaddedSizes, ReleaseMistake> {
        let kib: &[u16] = match (&self.padding_kib, self.preset) {
            (Some(kib), _) => kib,
            (None, ReleasePreset::Strict) => &[64, 256],
            (None, ReleasePreset::Embedded) => return Ok(PaddedSizes::ALL),
        };
        let bytes: Vec<usize> = kib.iter().map(|kib| usize::from(*kib) << 10).collect();
        let sizes = PaddedSizes::new(&bytes).map_err(|_| ReleaseMistake::Padding)?;
        if kib.iter().all(|kib| *kib < LEAST_LARGEST_KIB) {
            return Err(ReleaseMistake::PaddingTooSmall);
        }
        Ok(sizes)
    }

    /// Slots in which batches leave; `None` where they leave at once.
    ///
    /// # Errors
    /// [`ReleaseMistake`].
    pub fn slots(&self) -> Result<Option<SlotRules>, ReleaseMistake> {
        let is_strict = self.preset == ReleasePreset::Strict;
        let slot_seconds = self.slot_seconds.unwrap_or(if is_strict { 900 } else { 0 });
        if slot_seconds == 0 {
            let without_slots = [
                ("jitter_seconds", self.jitter_seconds),
                ("batches_per_slot", self.batches_per_slot),
            ];
            let written = without_slots.iter().find(|(_, value)| value.is_some());
            return match written {
                Some((name, _)) => Err(ReleaseMistake::NoSlots(name)),
                None if self.dummies => Err(ReleaseMistake::NoSlots("dummies")),
                None => Ok(None),
            };
        }
        if !SLOT_SECONDS.contains(&slot_seconds) {
            return Err(ReleaseMistake::Slot);
        }
        let preset_jitter = if is_strict { slot_seconds / 3 } else { 0 };
        let jitter_seconds = self.jitter_seconds.unwrap_or(preset_jitter);
        if jitter_seconds > slot_seconds / 2 {
            return Err(ReleaseMistake::Jitter);
        }
        let batches = self.batches_per_slot.unwrap_or(DEFAULT_BATCHES_PER_SLOT);
        if !BATCHES_PER_SLOT.contains(&batches) {
            return Err(ReleaseMistake::Batches);
        }
        Ok(Some(SlotRules {
            slot_seconds,
            jitter_seconds,
            batches,
            dummies: self.dummies,
        }))
    }
}

/// Facts under the preset `strict`. Vaccinations keep their days: of two doses with dates to the
/// month nobody can tell how many days lie between them, and so no series of two doses counts.
fn strict_facts() -> FactRelease {
    FactRelease {
        vaccination: KindRelease {
            dates: DatePrecision::Day,
            fields: [].into(),
        },
        test: DatePrecision::Day,
        recovery: KindRelease {
            dates: DatePrecision::Month,
            fields: [].into(),
        },
        ..FactRelease::default()
    }
}

#[cfg(test)]
mod tests;
