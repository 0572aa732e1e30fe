//! Answers that the data a verifier holds allow, by their age.

use chrono::{DateTime, TimeDelta, Utc};

use crate::revocation::RevocationList;
use crate::trust::{TrustBundle, is_clock_behind};

/// Age of the data beyond which a pass that holds is amber.
pub const STALE_AFTER: TimeDelta = TimeDelta::hours(24);

/// Age of the data beyond which nothing is said.
pub const CANNOT_TELL_AFTER: TimeDelta = TimeDelta::hours(72);

/// Data that a verifier holds: a bundle that the pinned root signed, and a list that a key of such
/// a bundle signed.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The trust bundle.
    pub trust: &'a TrustBundle,
    /// The revocation list.
    pub revocations: &'a RevocationList,
}

/// Answer that data allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Data {
    /// Every answer about a pass.
    Fresh,
    /// Every answer, as of the time of the data, which are older than [`STALE_AFTER`].
    Stale,
    /// Nothing: the data are older than [`CANNOT_TELL_AFTER`], or the list is older than the one
    /// that the bundle knows of.
    CannotTell,
    /// Nothing: the device's clock is behind the time of issue of the bundle or of the list.
    ClockWrong,
}

impl Data {
    /// Stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::CannotTell => "cannot-tell",
            Self::ClockWrong => "clock-wrong",
        }
    }
}

impl Held<'_> {
    /// Time of issue of the older of bundle and list.
    #[must_use]
    pub fn issued_at(self) -> DateTime<Utc> {
        let list = self.revocations.edition().issued_at();
        self.trust.issued_at.min(list)
    }

    /// Answer that the data allow at a time.
    #[must_use]
    pub fn judge(self, now: DateTime<Utc>) -> Data {
        if self.revocations.edition().sequence() < self.trust.lowest_revocations {
            return Data::CannotTell;
        }
        let list = self.revocations.edition().issued_at();
        if is_clock_behind(now, self.trust.issued_at.max(list)) {
            return Data::ClockWrong;
        }
        let age = now.signed_duration_since(self.issued_at());
        if age > CANNOT_TELL_AFTER {
            Data::CannotTell
        } else if age > STALE_AFTER {
            Data::Stale
        } else {
            Data::Fresh
        }
    }
}
