//! Choice of the attributes that a pass discloses.
//!
//! Of all subsets of the known attributes, the empty one included, those are allowed whose share of
//! the population is at least [`LEAST_SHARE`]. Of these the one with the largest share up to
//! [`BAND_END`] is disclosed, so most people show day and month of birth (1 in 365). If no subset
//! lies in that band, the one with the smallest share is disclosed: everything, where everything
//! together is above the band.
//!
//! The largest share, because an omission speaks too: who sees a combination knows that its holder
//! would have disclosed another one if his other initial were frequent. With this rule the people
//! who disclose exactly the same combination are themselves [`LEAST_SHARE`] or more, which is
//! tested for everybody with two initials and a date of birth. (To aim at the middle of the band
//! would put three people in ten below it, and leave less room for errors of the table.) A birth
//! on 29 February is the exception: all who have it together are fewer than that share.

use super::table::{DAYS_OF_CYCLE, PEOPLE, days_of_cycle, people_with_family, people_with_given};
use super::{BirthDate, HolderAttributes};

/// Share of the population, exact under the table: given and family initials and the date of birth
/// count as independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub(super) u64);

/// Number that stands for the whole population.
const WHOLE: u64 = PEOPLE * PEOPLE * DAYS_OF_CYCLE;

/// Smallest share of the population that a disclosed combination may cover: 0.1 %.
pub const LEAST_SHARE: Share = Share::per_mille(1);

/// Largest share of the population that a disclosed combination should cover: 0.3 %.
pub const BAND_END: Share = Share::per_mille(3);

impl Share {
    /// Share of the whole population.
    pub const WHOLE: Self = Self(WHOLE);

    const fn per_mille(thousandths: u64) -> Self {
        Self(WHOLE / 1000 * thousandths)
    }

    /// Share of the people who have the same values for these attributes.
    #[must_use]
    pub fn of(attributes: HolderAttributes) -> Self {
        let given = attributes.given_initial().map_or(PEOPLE, people_with_given);
        let family = attributes
            .family_initial()
            .map_or(PEOPLE, people_with_family);
        let birth = attributes.birth();
        Self(given * family * days_of_cycle(birth.day(), birth.month()))
    }

    /// True for a share from [`LEAST_SHARE`] to [`BAND_END`], both included.
    pub(super) fn is_in_band(self) -> bool {
        (LEAST_SHARE..=BAND_END).contains(&self)
    }

    /// Share in parts of a million, rounded down.
    #[must_use]
    pub const fn per_million(self) -> u64 {
        // 1 461 015 000 000 000 is a multiple of a million, so nothing is lost in the divisor.
        self.0 / (WHOLE / 1_000_000)
    }
}

/// Subset of the known attributes that a pass discloses; the same for the same attributes.
pub(super) fn choose(known: HolderAttributes) -> HolderAttributes {
    let mut in_band: Option<Candidate> = None;
    let mut above_band = Candidate::new(HolderAttributes::NONE);
    for subset in subsets(known) {
        let candidate = Candidate::new(subset);
        if candidate.share.is_in_band() {
            if in_band.is_none_or(|best| candidate.share > best.share) {
                in_band = Some(candidate);
            }
        } else if candidate.share > BAND_END && candidate.share < above_band.share {
            above_band = candidate;
        }
    }
    in_band.unwrap_or(above_band).attributes
}

#[derive(Clone, Copy)]
struct Candidate {
    attributes: HolderAttributes,
    share: Share,
}

impl Candidate {
    fn new(attributes: HolderAttributes) -> Self {
        Self {
            attributes,
            share: Share::of(attributes),
        }
    }
}

/// Subsets of the known attributes. Of equal shares the earlier one is taken: dates before names.
fn subsets(known: HolderAttributes) -> impl Iterator<Item = HolderAttributes> {
    const GIVEN: u8 = 1;
    const FAMILY: u8 = 2;
    const MONTH: u8 = 4;
    const DAY: u8 = 8;
    (0..16_u8).rev().map(move |chosen| {
        let has = |attribute: u8| chosen & attribute != 0;
        let birth = known.birth();
        HolderAttributes::new(
            known.given_initial().filter(|_| has(GIVEN)),
            known.family_initial().filter(|_| has(FAMILY)),
            BirthDate {
                day: birth.day().filter(|_| has(DAY)),
                month: birth.month().filter(|_| has(MONTH)),
            },
        )
    })
}
