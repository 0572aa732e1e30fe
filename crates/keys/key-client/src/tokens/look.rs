//! Answer of a token issuer about itself: its keys, the client's ceiling, and what was used of it.

use serde::Deserialize;

use super::pinned_key::PinnedTokenKey;

/// State of a token issuer and of this client's day, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuerState {
    /// Settings (`batch`, `day`) whose pinned key the issuer does not have under its number and for
    /// this use.
    pub differing: Vec<&'static str>,
    /// Most tokens of batches in a UTC day.
    pub daily_ceiling: u64,
    /// Tokens of batches that were issued today.
    pub used_today: u64,
    /// True if today's token of the day was issued.
    pub day_token_given: bool,
}

impl TokenIssuerState {
    /// Tokens of batches that the issuer gives today from now on.
    #[must_use]
    pub const fn left_today(&self) -> u64 {
        self.daily_ceiling.saturating_sub(self.used_today)
    }
}

/// Answer of an issuer; what else is in it is passed over.
#[derive(Deserialize)]
struct KeyList {
    keys: Vec<ListedKey>,
    daily_ceiling: u64,
    used_today: u64,
    #[serde(default)]
    day_token_given: bool,
}

/// Key of an issuer.
#[derive(Deserialize)]
struct ListedKey {
    number: u16,
    #[serde(rename = "use")]
    key_use: String,
    public_key: String,
}

/// Reads an issuer's answer; `None` for what is none.
pub(super) fn read(body: &[u8], pinned: &[PinnedTokenKey]) -> Option<TokenIssuerState> {
    let list: KeyList = serde_json::from_slice(body).ok()?;
    let is_listed = |pinned: &PinnedTokenKey| {
        let mut keys = list.keys.iter();
        keys.any(|listed| {
            listed.number == pinned.key
                && listed.key_use == pinned.setting
                && listed.public_key == pinned.public_key.to_string()
        })
    };
    let differing = pinned.iter().filter(|pinned| !is_listed(pinned));
    Some(TokenIssuerState {
        differing: differing.map(|pinned| pinned.setting).collect(),
        daily_ceiling: list.daily_ceiling,
        used_today: list.used_today,
        day_token_given: list.day_token_given,
    })
}
