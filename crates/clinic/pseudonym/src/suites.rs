//! Suites that a clinic's or a portal's pseudonyms are of: one, or two while a city moves.

use contract::Suite;

/// Suites of the pseudonyms that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suites {
    /// Suite of the city, or the one that it moves to.
    pub suite: Suite,
    /// Suite that the city moves from, whose names leave beside those of `suite`.
    pub moving_from: Option<Suite>,
}

impl Suites {
    /// Suite whose pseudonyms are made with the city's shared keys; `None` where key services
    /// evaluate all of them.
    #[must_use]
    pub fn keyed(self) -> Option<Suite> {
        [Some(self.suite), self.moving_from]
            .into_iter()
            .flatten()
            .find(|suite| *suite != Suite::Voprf)
    }

    /// Text that tells these suites from others in a digest of settings; of one suite its name.
    #[must_use]
    pub fn meaning(self) -> String {
        match self.moving_from {
            None => self.suite.as_str().to_owned(),
            Some(from) => format!("{} beside {}", self.suite.as_str(), from.as_str()),
        }
    }
}

impl From<Suite> for Suites {
    fn from(suite: Suite) -> Self {
        Self {
            suite,
            moving_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_has_one_keyed_suite_and_a_meaning_of_its_own() {
        let moving = Suites {
            suite: Suite::Voprf,
            moving_from: Some(Suite::HmacStreebog),
        };
        assert_eq!(moving.keyed(), Some(Suite::HmacStreebog));
        assert_eq!(moving.meaning(), "voprf beside hmac-streebog");
        assert_eq!(Suites::from(Suite::Hmac).keyed(), Some(Suite::Hmac));
        assert_eq!(Suites::from(Suite::Voprf).keyed(), None);
        assert_eq!(Suites::from(Suite::Voprf).meaning(), "voprf");
    }
}
