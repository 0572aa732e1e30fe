//! Parts of a city behind the relay, and sets of them.

use std::collections::BTreeSet;

/// Part of a city that can be stolen, or whose operator can be corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    ClinicsMessages,
    RelayKey,
    RelayDisk,
    RelayEscrow,
    RegistryMessages,
    RegistryDatabase,
    RegistryKeys,
    RegistryEscrow,
    AuditorKey,
    Gateway,
    Portal,
    KeyService1,
    KeyService2,
    TokenIssuer,
}

impl Part {
    /// All parts.
    pub(super) const ALL: [Self; 14] = [
        Self::ClinicsMessages,
        Self::RelayKey,
        Self::RelayDisk,
        Self::RelayEscrow,
        Self::RegistryMessages,
        Self::RegistryDatabase,
        Self::RegistryKeys,
        Self::RegistryEscrow,
        Self::AuditorKey,
        Self::Gateway,
        Self::Portal,
        Self::KeyService1,
        Self::KeyService2,
        Self::TokenIssuer,
    ];

    /// Those that may know of a sender's batch.
    pub(super) const OF_SENDERS: [Self; 9] = [
        Self::ClinicsMessages,
        Self::RelayKey,
        Self::RelayEscrow,
        Self::RegistryMessages,
        Self::RegistryDatabase,
        Self::RegistryKeys,
        Self::RegistryEscrow,
        Self::AuditorKey,
        Self::TokenIssuer,
    ];

    /// Words of the table.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ClinicsMessages => "clinics' broker's messages",
            Self::RelayKey => "relay's key",
            Self::RelayDisk => "relay's state and configuration",
            Self::RelayEscrow => "relay's escrow",
            Self::RegistryMessages => "registry's broker's messages",
            Self::RegistryDatabase => "registry's database",
            Self::RegistryKeys => "registry's keys",
            Self::RegistryEscrow => "registry's escrow",
            Self::AuditorKey => "auditor's key",
            Self::Gateway => "a clinic's gateway",
            Self::Portal => "portal",
            Self::KeyService1 => "key service 1",
            Self::KeyService2 => "key service 2",
            Self::TokenIssuer => "token issuer",
        }
    }
}

/// Set of parts.
pub(super) type Stolen = BTreeSet<Part>;

/// Every set of these parts.
pub(super) fn all_sets(parts: &[Part]) -> impl Iterator<Item = Stolen> {
    (0..1_u32 << parts.len()).map(|bits| {
        let is_in = |place: &usize| bits >> place & 1 == 1;
        let places = (0..parts.len()).filter(is_in);
        places.map(|place| parts[place]).collect()
    })
}

/// The least sets: those that reach something, or more than every smaller set in them does. A set
/// that holds one which reaches `all` is not tried: more than that is not to be had.
pub(super) fn least_sets<T: Copy + Ord>(
    parts: &[Part],
    nothing: T,
    all: T,
    reached: impl Fn(&Stolen) -> T,
) -> Vec<(Stolen, T)> {
    let mut sets: Vec<Stolen> = all_sets(parts).collect();
    sets.sort_by_key(|stolen| (stolen.len(), stolen.clone()));
    let mut least: Vec<(Stolen, T)> = Vec::new();
    for stolen in sets {
        let smaller = least.iter().filter(|(other, _)| other.is_subset(&stolen));
        let before = smaller.map(|(_, before)| *before).max();
        let before = before.unwrap_or(nothing);
        if before == all {
            continue;
        }
        let reached = reached(&stolen);
        if reached > before {
            least.push((stolen, reached));
        }
    }
    least
}

/// Names of the parts of a set, as a cell of a table.
pub(super) fn listed(stolen: &Stolen) -> String {
    let words: Vec<&str> = stolen.iter().map(|part| part.words()).collect();
    words.join(", ")
}
