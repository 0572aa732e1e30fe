//! Open pseudonym keys: a key epoch, of every suite or of one.

use std::fmt;

use contract::{Epoch, Pseudonym, Suite};

/// Key epoch whose pseudonyms are accepted. Each suite numbers its keys by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenEpoch {
    /// Suite that it is open for; `None`: every suite.
    pub suite: Option<Suite>,
    /// Number of the key.
    pub epoch: Epoch,
}

impl OpenEpoch {
    /// Key epoch that is open for every suite.
    #[must_use]
    pub const fn of_every_suite(epoch: Epoch) -> Self {
        Self { suite: None, epoch }
    }

    /// Returns whether it is open for this suite, under whatever number.
    #[must_use]
    pub fn is_of(&self, suite: Suite) -> bool {
        self.suite.is_none_or(|open| open == suite)
    }

    /// Returns whether pseudonyms of this suite and key are accepted.
    #[must_use]
    pub fn covers(&self, suite: Suite, epoch: Epoch) -> bool {
        self.is_of(suite) && self.epoch == epoch
    }

    /// Returns whether the pseudonym is of a key that is among the open ones.
    #[must_use]
    pub fn is_open(open: &[Self], name: &Pseudonym) -> bool {
        open.iter().any(|one| one.covers(name.suite, name.epoch))
    }
}

impl From<Epoch> for OpenEpoch {
    fn from(epoch: Epoch) -> Self {
        Self::of_every_suite(epoch)
    }
}

impl fmt::Display for OpenEpoch {
    /// Writes it as configuration does: `1`, or `"voprf:1"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.suite {
            None => write!(f, "{}", self.epoch),
            Some(suite) => write!(f, "\"{}:{}\"", suite.as_str(), self.epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::Scheme;

    use super::*;

    #[test]
    fn a_key_is_closed_in_one_suite_and_open_in_another() {
        let name = |suite, epoch| Pseudonym {
            scheme: Scheme::Snils,
            suite,
            epoch,
            value: [1; 32],
        };
        let evaluated_only = [OpenEpoch {
            suite: Some(Suite::Voprf),
            epoch: 1,
        }];
        assert!(OpenEpoch::is_open(&evaluated_only, &name(Suite::Voprf, 1)));
        assert!(!OpenEpoch::is_open(&evaluated_only, &name(Suite::Hmac, 1)));
        assert!(!OpenEpoch::is_open(&evaluated_only, &name(Suite::Voprf, 2)));
        let every = [OpenEpoch::from(1)];
        assert!(
            Suite::ALL
                .iter()
                .all(|suite| OpenEpoch::is_open(&every, &name(*suite, 1)))
        );
        assert_eq!(evaluated_only[0].to_string(), "\"voprf:1\"");
        assert_eq!(every[0].to_string(), "1");
    }
}
