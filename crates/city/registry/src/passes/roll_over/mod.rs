//! Roll-over of the signing keys: until when they suffice, and when the next one is due.

use chrono::{DateTime, TimeDelta, Utc};
use pass::Product;
use pass::verify::CANNOT_TELL_AFTER;

use super::PassKeys;
use super::keys::DatedKey;

/// Longest time from the issue of a pass to its end: seven days on paper.
const LONGEST_PASS: TimeDelta = TimeDelta::days(7);

/// Time before the next key is due in which it is asked for.
pub const ASKED_FOR: TimeDelta = TimeDelta::days(14);

/// State of the keys of one product, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// No key signs the product now.
    None,
    /// Keys suffice until a moment; the next one is due before another, which lies long ahead.
    Good(KeyTimes),
    /// The next key is due soon.
    DueSoon(KeyTimes),
    /// The next key comes too late for verifiers that are offline for as long as they may be, or
    /// for passes of the longest kind.
    Overdue(KeyTimes),
}

/// Times of the keys of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTimes {
    /// Moment until which everything is signed with a key that outlives it.
    pub suffice_until: DateTime<Utc>,
    /// Moment before which the next key has to be published, so that every verifier knows it when
    /// it begins to sign.
    pub due_at: DateTime<Utc>,
}

impl PassKeys {
    /// Looks ahead from `now` at the keys of one product.
    #[must_use]
    pub fn state(&self, product: Product, now: DateTime<Utc>) -> KeyState {
        let Some(suffice_until) = self.suffice_until(product, now) else {
            return KeyState::None;
        };
        let times = KeyTimes {
            suffice_until,
            due_at: suffice_until - CANNOT_TELL_AFTER,
        };
        if times.due_at <= now {
            KeyState::Overdue(times)
        } else if times.due_at - now <= ASKED_FOR {
            KeyState::DueSoon(times)
        } else {
            KeyState::Good(times)
        }
    }

    /// Keys that begin so soon that a verifier which is offline for as long as it may be does not
    /// know them, unless they are published already.
    pub fn beginning_soon(&self, now: DateTime<Utc>) -> impl Iterator<Item = &DatedKey> {
        let is_soon = move |key: &&DatedKey| now < key.from && key.from - now <= CANNOT_TELL_AFTER;
        self.dated().iter().filter(is_soon)
    }

    /// End of the unbroken time from `now` on in which a key signs whatever is issued; `None` where
    /// no key signs now.
    fn suffice_until(&self, product: Product, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let outlives = match product {
            // A certificate ends with its key at the latest; this is the least that it holds.
            Product::City | Product::Hcert => LONGEST_PASS,
            Product::Revocations => TimeDelta::zero(),
        };
        let of_product = || {
            let all = self.dated().iter();
            all.filter(|key| key.products.contains(&product))
        };
        let is_current = |key: &DatedKey| key.from <= now && now < key.until;
        if !of_product().any(is_current) {
            return None;
        }
        let mut until = now;
        loop {
            let signing_then = of_product().filter(|key| key.from <= until);
            let longest = signing_then.map(|key| key.until - outlives).max();
            match longest {
                Some(longest) if longest > until => until = longest,
                _ => return Some(until),
            }
        }
    }
}

#[cfg(test)]
mod tests;
