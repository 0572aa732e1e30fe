//! `[keys]`: how pseudonyms are computed; the same in every clinic of a city.

use std::str::FromStr;

use key_client::KeyServicesConfig;
use pseudonym::Suite;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use settings::SecretSource;

/// `[keys]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Place of the pseudonym keys that the city's clinics share. For the suites `hmac` and
    /// `hmac-streebog` alone, which need them.
    pub shared: Option<SecretSource>,
    /// Algorithm.
    #[serde(default = "hmac", deserialize_with = "suite")]
    pub suite: Suite,
    /// Suite that the city moves from, `hmac` or `hmac-streebog`, beside `suite = "voprf"`: the
    /// registry is asked by the names of both, those of this one by the keys of `shared`. Written
    /// before the first clinic moves, and taken out once no fact has names of this suite alone.
    #[serde(default, deserialize_with = "other_suite")]
    pub moving_from: Option<Suite>,
    /// Key services that evaluate pseudonyms, asked in this order. For the suite `voprf` alone,
    /// which needs them.
    pub services: Option<KeyServicesConfig>,
}

/// Keys that a configuration names, as its suite wants them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NamedKeys<'a> {
    /// Keys that the city's clinics share, and the suite they are used with.
    Shared(&'a SecretSource, Suite),
    /// Key services.
    Services(&'a KeyServicesConfig),
    /// Key services, with shared keys of the suite that the city moves from.
    Both {
        services: &'a KeyServicesConfig,
        shared: &'a SecretSource,
        moving_from: Suite,
    },
}

/// Mistake in `[keys]` as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct KeysMistake {
    /// Description of the mistake.
    pub what: &'static str,
    /// Advice: the text to write instead.
    pub help: &'static str,
}

impl KeysConfig {
    /// Keys of the suite.
    pub(crate) fn named(&self) -> Result<NamedKeys<'_>, KeysMistake> {
        match self.moving_from {
            None => self.of_one_suite(),
            Some(moving_from) => self.of_both(moving_from),
        }
    }

    /// Keys of both suites while the city moves.
    fn of_both(&self, moving_from: Suite) -> Result<NamedKeys<'_>, KeysMistake> {
        match (self.suite, moving_from, &self.shared, &self.services) {
            (Suite::Voprf, Suite::Voprf, ..) | (Suite::Hmac | Suite::HmacStreebog, ..) => {
                Err(KeysMistake {
                    what: "keys.moving_from is for a city that moves to key services: from \
                           \"hmac\" or \"hmac-streebog\" to suite = \"voprf\"",
                    help: "write both as docs/strong.md says, or take moving_from out",
                })
            }
            (_, _, Some(shared), Some(services)) => Ok(NamedKeys::Both {
                services,
                shared,
                moving_from,
            }),
            _ => Err(KeysMistake {
                what: "keys.moving_from is written, and shared or [[keys.services]] is missing: \
                       the registry is asked by the names of both suites",
                help: "leave shared = { file = \"shared\" } as it was, and describe each key \
                       service in a section [[keys.services]]; config/strong/city-portal.toml \
                       shows how",
            }),
        }
    }

    fn of_one_suite(&self) -> Result<NamedKeys<'_>, KeysMistake> {
        match (self.suite, &self.shared, &self.services) {
            (Suite::Voprf, None, Some(services)) => Ok(NamedKeys::Services(services)),
            (Suite::Hmac | Suite::HmacStreebog, Some(shared), None) => {
                Ok(NamedKeys::Shared(shared, self.suite))
            }
            (Suite::Voprf, Some(_), _) => Err(KeysMistake {
                what: "keys.shared is written, and keys.suite is \"voprf\": its pseudonyms have no \
                       shared keys",
                help: "while the city moves from another suite, name it as moving_from; else take the \
                       line shared = … out of [keys], and delete the file that it names",
            }),
            (Suite::Voprf, None, None) => Err(KeysMistake {
                what: "keys.suite is \"voprf\", and no [[keys.services]] is written",
                help: "describe each of the city's key services in a section [[keys.services]]; \
                       config/strong/city-portal.toml shows how",
            }),
            (Suite::Hmac | Suite::HmacStreebog, _, Some(_)) => Err(KeysMistake {
                what: "[[keys.services]] are written, and keys.suite is not \"voprf\"",
                help: "write suite = \"voprf\" in [keys] if the city's pseudonyms are evaluated by \
                       key services, or take the sections out",
            }),
            (Suite::Hmac | Suite::HmacStreebog, None, None) => Err(KeysMistake {
                what: "keys.shared is missing",
                help: "write shared = { file = \"shared\" } in [keys]: the file that \
                       `clinic-gateway keys share` writes at a clinic of the city",
            }),
        }
    }

    /// Mistake in the section as a whole, where there is one.
    #[must_use]
    pub fn mistake(&self) -> Option<KeysMistake> {
        self.named().err()
    }
}

const fn hmac() -> Suite {
    Suite::Hmac
}

fn suite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Suite, D::Error> {
    let name = String::deserialize(deserializer)?;
    Suite::from_str(&name)
        .map_err(|_| D::Error::custom("the suite is hmac, hmac-streebog or voprf"))
}

fn other_suite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Suite>, D::Error> {
    suite(deserializer).map(Some)
}
