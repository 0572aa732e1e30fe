//! Answer of a key service about itself: its keys, its ceiling, and what was used of it today.

use oprf::PublicKey;
use serde::Deserialize;

use crate::error::KeyClientError;
use crate::pinned_key::PinnedKey;

/// A look at one key service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLook {
    /// Host of the service, with its port where the configuration names one.
    pub service: String,
    /// State of the service, or the reason why it says nothing.
    pub state: Result<ServiceState, KeyClientError>,
}

/// State of a key service, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Each pinned key, in the order of the configuration.
    pub pinned: Vec<PinnedKeyLook>,
    /// Most elements a UTC day for this client.
    pub daily_ceiling: u64,
    /// Elements evaluated for this client today, fill included.
    pub used_today: u64,
}

/// A pinned key beside what the service has under its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedKeyLook {
    /// The city's pseudonym epoch.
    pub epoch: u16,
    /// The service's own number of the key.
    pub key: u16,
    /// Key that the service has under the number.
    pub state: PinnedKeyState,
}

/// Key of a service under the number of a pinned key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedKeyState {
    /// The pinned key.
    Same,
    /// No key.
    Missing,
    /// A key of a token issuer, of this use: `batch` or `day`.
    OfTokens {
        /// The use.
        key_use: &'static str,
    },
    /// Another key than the pinned one.
    Differs {
        /// Public key that the service has.
        theirs: PublicKey,
    },
}

impl ServiceState {
    /// Returns whether the service has every pinned key.
    #[must_use]
    pub fn has_pinned_keys(&self) -> bool {
        let mut pinned = self.pinned.iter();
        pinned.all(|look| look.state == PinnedKeyState::Same)
    }

    /// Elements that the service evaluates for this client today from now on.
    #[must_use]
    pub fn left_today(&self) -> u64 {
        self.daily_ceiling.saturating_sub(self.used_today)
    }
}

/// Answer of a service; what else is in it is passed over.
#[derive(Deserialize)]
struct KeyList {
    keys: Vec<ListedKey>,
    daily_ceiling: u64,
    used_today: u64,
}

/// Key of a service.
#[derive(Deserialize)]
struct ListedKey {
    number: u16,
    /// Absent at services from before there were tokens.
    #[serde(default, rename = "use")]
    key_use: Option<String>,
    public_key: String,
}

/// Reads a service's answer; `None` for what is none. A key that is not pinned is not looked at.
pub(crate) fn read(body: &[u8], pinned: &[PinnedKey]) -> Option<ServiceState> {
    let list: KeyList = serde_json::from_slice(body).ok()?;
    let looks = pinned.iter().map(|pinned| {
        let listed = list.keys.iter().find(|key| key.number == pinned.key);
        let state = match listed {
            None => PinnedKeyState::Missing,
            Some(listed) if listed.key_use.as_deref() == Some("batch") => {
                PinnedKeyState::OfTokens { key_use: "batch" }
            }
            Some(listed) if listed.key_use.as_deref() == Some("day") => {
                PinnedKeyState::OfTokens { key_use: "day" }
            }
            Some(listed) => match listed.public_key.parse().ok()? {
                theirs if theirs == pinned.public_key => PinnedKeyState::Same,
                theirs => PinnedKeyState::Differs { theirs },
            },
        };
        Some(PinnedKeyLook {
            epoch: pinned.epoch,
            key: pinned.key,
            state,
        })
    });
    Some(ServiceState {
        pinned: looks.collect::<Option<_>>()?,
        daily_ceiling: list.daily_ceiling,
        used_today: list.used_today,
    })
}
