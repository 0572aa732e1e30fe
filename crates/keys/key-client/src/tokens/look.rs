//! Answer of a token issuer about itself: its keys, the client's ceiling, and what was used of it.

use serde::Deserialize;

use super::pinned_key::PinnedTokenKey;

/// State of a token issuer and of this client's day, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuerState {
    /// Settings whose pinned key the issuer does not have under its number and for this use.
    pub differing: Vec<DifferingKey>,
    /// Most tokens of batches in a UTC day.
    pub daily_ceiling: u64,
    /// Tokens of batches that were issued today.
    pub used_today: u64,
    /// True if today's token of the day was issued.
    pub day_token_given: bool,
}

/// Pinned key that is not as the issuer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingKey {
    /// Setting of the key: `batch` or `day`.
    pub setting: &'static str,
    /// Number of the key, as the setting has it.
    pub key: u16,
    /// Use that the issuer has for this number: `batch`, `day`, or `pseudonyms` where it is a key
    /// service; `None` where it has no key of this number.
    pub theirs: Option<&'static str>,
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
    let difference = |pinned: &PinnedTokenKey| {
        let mut keys = list.keys.iter();
        let listed = keys.find(|listed| listed.number == pinned.key);
        let is_same = listed.is_some_and(|listed| {
            listed.key_use == pinned.setting && listed.public_key == pinned.public_key.to_string()
        });
        (!is_same).then(|| DifferingKey {
            setting: pinned.setting,
            key: pinned.key,
            theirs: listed.and_then(|listed| known_use(&listed.key_use)),
        })
    };
    Some(TokenIssuerState {
        differing: pinned.iter().filter_map(difference).collect(),
        daily_ceiling: list.daily_ceiling,
        used_today: list.used_today,
        day_token_given: list.day_token_given,
    })
}

/// Use of a listed key, in a word of ours.
fn known_use(listed: &str) -> Option<&'static str> {
    let mut known = ["batch", "day", "pseudonyms"].into_iter();
    known.find(|known| *known == listed)
}
