//! Values that the rules about persons take and give, and their limits.

use contract::{Epoch, Scheme, Suite};
use sha2::{Digest, Sha256};

use crate::second_layer::CityPseudonym;

/// Greatest number of names of a connected part that is judged by votes; a greater part is judged
/// by the coarse rule.
pub const MAX_COMPONENT_NAMES: usize = 32;

/// Greatest number of name sets of a connected part that is judged by votes; a greater part is
/// judged by the coarse rule.
pub const MAX_COMPONENT_SETS: usize = 32;

/// Beginning of the digested text of a name set; it names the purpose and the form.
const DOMAIN: &[u8] = b"clinic-gateway/registry/name-set/v1\0";

/// Id of a name set: the first 16 bytes of SHA-256 over a domain text and the set's sorted values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameSetId(pub [u8; 16]);

impl NameSetId {
    /// Id of the set of these values, in whatever order and however often each is given.
    #[must_use]
    pub fn of(values: &[[u8; 32]]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut digest = Sha256::new();
        digest.update(DOMAIN);
        for value in &sorted {
            digest.update(value);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

/// Set of pseudonyms that stored records state together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSet {
    /// Id of the set.
    pub id: NameSetId,
    /// Names, strongest first.
    pub names: Vec<CityPseudonym>,
    /// Number of stored records that state exactly this set. A set without records joins nothing.
    pub records: u64,
}

/// Standing decision of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Name that is linked with no other. It wins over every [`Decision::Together`] about the name.
    Alone([u8; 32]),
    /// Two names of one person, whatever records say and even where both are SNILS. Two such
    /// decisions with a name in common make one person of all their names.
    Together([u8; 32], [u8; 32]),
}

/// Settings of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRules {
    /// Number of records that a set must have to join parts that hold records of their own: 1 or 2.
    pub join_needs_records: u64,
}

impl Default for LinkRules {
    fn default() -> Self {
        Self {
            join_needs_records: 1,
        }
    }
}

/// Names and sets that are connected with each other, and the decisions about these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Component {
    /// Sets, each once.
    pub sets: Vec<NameSet>,
    /// Decisions about names of the sets.
    pub decisions: Vec<Decision>,
    /// True where a limit was met while reading, so that something is missing here.
    pub is_cut: bool,
}

/// Persons of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persons {
    /// Values of each person's names, sorted; the persons sorted; every stated name in one of them.
    pub groups: Vec<Vec<[u8; 32]>>,
    /// Names that an operator may want to look at, sorted, each once for each kind.
    pub contests: Vec<Contest>,
    /// False where one more record, whose names are all in one of the groups, changes no group. So
    /// it is true where votes, the coarse rule or disbelief kept names apart, or would after one
    /// more record.
    pub is_apart: bool,
}

/// Name about which records disagree, or on which a limit weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contest {
    /// Value of the name.
    pub name: [u8; 32],
    /// Kind of the disagreement.
    pub kind: ContestKind,
}

/// Kinds of disagreement about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContestKind {
    /// Name that as many records state beside one person as beside another, so that it is with
    /// neither.
    Tie,
    /// Name that some records state beside a stronger one, or one as strong, of another person.
    Minority,
    /// Strongest name of a part that is too large to be judged by votes.
    TooLarge,
    /// Strongest name, in one of the parts, of a set that has too few records to join them.
    OneRecord,
}

/// Names that are equally strong but for their values: scheme, key epoch and suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    /// Numbering of the identifier.
    pub(super) scheme: Scheme,
    /// Epoch of the clinic-side key.
    pub(super) epoch: Epoch,
    /// Function with which the clinic computed P.
    pub(super) suite: Suite,
}

impl Class {
    /// Class of a name.
    pub(super) const fn of(name: &CityPseudonym) -> Self {
        Self {
            scheme: name.scheme,
            epoch: name.epoch,
            suite: name.suite,
        }
    }
}
