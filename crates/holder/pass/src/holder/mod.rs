//! Holder attributes: the few initials and parts of the birth date that a pass discloses.

mod choose;
mod initial;
mod table;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

pub use choose::{BAND_END, LEAST_SHARE, Share};
pub use initial::{Initial, MAX_NAME_CHARS, NotAnInitial};
pub use table::TABLE_VERSION;

/// Fault of a birth date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthDateError {
    /// Day is not 1 to 31.
    #[error("a day of birth is 1 to 31; leave it out where it is not known")]
    Day,
    /// Month is not 1 to 12.
    #[error("a month of birth is 1 to 12; leave it out where it is not known")]
    Month,
    /// No year has such a day in that month.
    #[error("the month of birth has no such day; correct one, or leave out what is not known")]
    NoSuchDate,
}

/// Day and month of birth, each where known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BirthDate {
    day: Option<u8>,
    month: Option<u8>,
}

impl BirthDate {
    /// Birth date of which day and month may each be unknown.
    ///
    /// # Errors
    /// A day beyond 1 to 31, a month beyond 1 to 12, or a day that the month never has.
    pub fn new(day: Option<u8>, month: Option<u8>) -> Result<Self, BirthDateError> {
        if day.is_some_and(|day| !(1..=31).contains(&day)) {
            return Err(BirthDateError::Day);
        }
        if month.is_some_and(|month| !(1..=12).contains(&month)) {
            return Err(BirthDateError::Month);
        }
        match (day, month) {
            (Some(day), Some(month)) if table::times_of_date(day, month) == 0 => {
                Err(BirthDateError::NoSuchDate)
            }
            _ => Ok(Self { day, month }),
        }
    }

    /// Day of the month, 1 to 31.
    #[must_use]
    pub const fn day(self) -> Option<u8> {
        self.day
    }

    /// Month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> Option<u8> {
        self.month
    }
}

/// Prints no number: a birth date is of a person.
impl fmt::Debug for BirthDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BirthDate([REDACTED])")
    }
}

/// Person as the portal knows them; `None` is what it does not know. Stored nowhere.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Given name, in any script.
    pub given_name: Option<&'a SecretString>,
    /// Family name, in any script.
    pub family_name: Option<&'a SecretString>,
    /// Day and month of birth.
    pub birth: BirthDate,
}

/// Attributes of a holder: initials, day and month of birth, each where known or disclosed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HolderAttributes {
    given_initial: Option<Initial>,
    family_initial: Option<Initial>,
    birth: BirthDate,
}

impl HolderAttributes {
    /// No attribute.
    pub const NONE: Self = Self {
        given_initial: None,
        family_initial: None,
        birth: BirthDate {
            day: None,
            month: None,
        },
    };

    /// Attributes as a pass states them.
    #[must_use]
    pub const fn new(
        given_initial: Option<Initial>,
        family_initial: Option<Initial>,
        birth: BirthDate,
    ) -> Self {
        Self {
            given_initial,
            family_initial,
            birth,
        }
    }

    /// Attributes that a pass of this person discloses: always the same for the same person, and
    /// never a combination that fewer than [`LEAST_SHARE`] of the people have.
    #[must_use]
    pub fn disclosed_for(person: Person<'_>) -> Self {
        let initial = |name: &SecretString| Initial::of_name(name.expose_secret());
        choose::choose(Self {
            given_initial: person.given_name.and_then(initial),
            family_initial: person.family_name.and_then(initial),
            birth: person.birth,
        })
    }

    /// True where at least [`LEAST_SHARE`] of the people have this combination, so that it names
    /// nobody. Whatever [`Self::disclosed_for`] returns is permitted, the empty combination too.
    #[must_use]
    pub fn is_permitted(self) -> bool {
        Share::of(self) >= LEAST_SHARE
    }

    /// Initial of the given name.
    #[must_use]
    pub const fn given_initial(self) -> Option<Initial> {
        self.given_initial
    }

    /// Initial of the family name.
    #[must_use]
    pub const fn family_initial(self) -> Option<Initial> {
        self.family_initial
    }

    /// Day and month of birth.
    #[must_use]
    pub const fn birth(self) -> BirthDate {
        self.birth
    }
}

/// Prints no value: attributes are of a person.
impl fmt::Debug for HolderAttributes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HolderAttributes([REDACTED])")
    }
}

#[cfg(test)]
mod tests;
