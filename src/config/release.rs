//! The `[release]` section: what leaves of each kind of fact, in which padded sizes, and when.

use contract::PaddedSizes;
use pseudonym::{DatePrecision, FactRelease, KindRelease, RecoveryField, VaccinationField};
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
}

/// The `[release.test]` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestReleaseConfig {
    /// Most exact form of the dates that leave.
    pub dates: Option<DatePrecision>,
}

/// The `[release.recovery]` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryReleaseConfig {
    /// Most exact form of the dates that leave.
    pub dates: Option<DatePrecision>,
    /// Optional fields that leave; the others stay.
    pub fields: Option<Vec<RecoveryField>>,
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
        }
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ReleaseConfig {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn without_the_section_everything_leaves_in_every_size_at_once() {
        for text in ["", "preset = \"embedded\"\n"] {
            let release = read(text);
            assert_eq!(release.facts(), FactRelease::default());
            assert_eq!(release.padded_sizes(), Ok(PaddedSizes::ALL));
            assert_eq!(release.slots(), Ok(None));
        }
    }

    #[test]
    fn strict_is_what_its_description_says_and_can_be_overridden() {
        let strict = read("preset = \"strict\"\n");
        assert_eq!(strict.facts(), strict_facts());
        let kib: Vec<usize> = strict.padded_sizes().unwrap().iter().collect();
        assert_eq!(kib, [64 << 10, 256 << 10]);
        let slots = SlotRules {
            slot_seconds: 900,
            jitter_seconds: 300,
            batches: 8,
            dummies: false,
        };
        assert_eq!(strict.slots(), Ok(Some(slots)));

        let other = read(
            "preset = \"strict\"\nslot_seconds = 0\n[vaccination]\ndates = \"month\"\nfields = \
             [\"dose-number\"]\n[recovery]\nfields = [\"began-on\"]\n",
        );
        let facts = other.facts();
        assert_eq!(facts.vaccination.dates, DatePrecision::Month);
        assert_eq!(
            facts.vaccination.fields,
            [VaccinationField::DoseNumber].into()
        );
        assert_eq!(facts.recovery.dates, DatePrecision::Month, "as the preset");
        assert_eq!(facts.recovery.fields, [RecoveryField::BeganOn].into());
        assert_eq!(other.slots(), Ok(None));
    }

    #[test]
    fn examples_of_the_section_are_strict_and_can_be_read() {
        let strong = include_str!("../../config/strong/clinic-gateway.toml");
        let strong: toml::Table = strong.parse().expect("a configuration");
        let strong = toml::to_string(&strong["release"]).expect("a section");
        assert_eq!(read(&strong).facts(), strict_facts());

        let example = include_str!("../../config/clinic-gateway.toml");
        let (_, example) = example.split_once("\n# [release]\n").expect("the example");
        let (example, _) = example.split_once("\n\n").expect("its end");
        let example: Vec<&str> = example.lines().map(|line| &line[2..]).collect();
        let example = example.join("\n").replace("[release.", "[");
        let example = read(&example);
        assert_eq!(example.facts(), strict_facts());
        let strict = read("preset = \"strict\"\n");
        assert_eq!(example.slots(), strict.slots());
        assert_eq!(example.padded_sizes(), strict.padded_sizes());
    }

    #[test]
    fn dummies_are_written_and_need_slots() {
        let dummies = |text: &str| {
            let slots = read(text).slots()?;
            Ok(slots.is_some_and(|slots| slots.dummies))
        };
        assert_eq!(dummies("preset = \"strict\"\n"), Ok(false));
        let with_preset = dummies("preset = \"strict\"\ndummies = true\n");
        assert_eq!(with_preset, Ok(true));
        assert_eq!(dummies("slot_seconds = 60\ndummies = true\n"), Ok(true));
        assert_eq!(dummies("dummies = false\n"), Ok(false));
        for without_slots in ["dummies = true\n", "slot_seconds = 0\ndummies = true\n"] {
            let refused = dummies(without_slots);
            assert_eq!(refused, Err(ReleaseMistake::NoSlots("dummies")));
        }
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let slots = |text: &str| read(text).slots();
        for good in [
            "slot_seconds = 10\njitter_seconds = 5\nbatches_per_slot = 2\n",
            "slot_seconds = 86400\njitter_seconds = 43200\nbatches_per_slot = 32\n",
        ] {
            assert!(slots(good).is_ok_and(|slots| slots.is_some()), "{good}");
        }
        for (wrong, mistake) in [
            ("slot_seconds = 9\n", ReleaseMistake::Slot),
            ("slot_seconds = 86401\n", ReleaseMistake::Slot),
            (
                "slot_seconds = 10\njitter_seconds = 6\n",
                ReleaseMistake::Jitter,
            ),
            (
                "slot_seconds = 10\nbatches_per_slot = 1\n",
                ReleaseMistake::Batches,
            ),
            (
                "slot_seconds = 10\nbatches_per_slot = 33\n",
                ReleaseMistake::Batches,
            ),
            (
                "jitter_seconds = 5\n",
                ReleaseMistake::NoSlots("jitter_seconds"),
            ),
            (
                "batches_per_slot = 5\n",
                ReleaseMistake::NoSlots("batches_per_slot"),
            ),
        ] {
            assert_eq!(slots(wrong), Err(mistake), "{wrong}");
        }
        let sizes = |text: &str| read(text).padded_sizes().map(|_| ());
        assert_eq!(sizes("padding_kib = [256]\n"), Ok(()));
        assert_eq!(sizes("padding_kib = [1024, 4]\n"), Ok(()));
        assert_eq!(sizes("padding_kib = []\n"), Err(ReleaseMistake::Padding));
        assert_eq!(
            sizes("padding_kib = [5, 256]\n"),
            Err(ReleaseMistake::Padding)
        );
        let small = sizes("padding_kib = [4, 16, 64]\n");
        assert_eq!(small, Err(ReleaseMistake::PaddingTooSmall));
    }

    #[test]
    fn names_that_are_not_known_are_refused() {
        for wrong in [
            "preset = \"loose\"\n",
            "slots = 5\n",
            "[vaccination]\nfields = [\"lot\"]\n",
            "[vaccination]\ndates = \"week\"\n",
            "[test]\nfields = []\n",
            "[tests]\ndates = \"day\"\n",
        ] {
            assert!(toml::from_str::<ReleaseConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
