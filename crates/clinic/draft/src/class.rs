//! The class of a draft's fact: all facts that leave alike in everything but the person.

use contract::{ContentDigest, Fact};
use record_secrets::{ClassDigest, ClassPerson};

/// A person of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMember {
    /// Keyed digest of what facts of the class say without the person.
    pub class: ClassDigest,
    /// Keyed digests of the person's identifiers, of this class alone. Facts that have one in common
    /// are of one person.
    pub person: Vec<ClassPerson>,
}

/// Class of a fact where the release policy wants one of several persons, and the person of the
/// fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactClass {
    /// Class of the fact, with its person.
    pub member: ClassMember,
    /// Least number of different persons of whom facts of the class are known before any leaves.
    pub least_persons: u8,
    /// The fact with coarser dates, each coarser than the one before.
    pub coarser: Vec<CoarserFact>,
}

/// A fact with a coarser date, as it may leave where its own class stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoarserFact {
    /// The fact.
    pub fact: Fact,
    /// Digest of the record and its statement with this fact.
    pub content: ContentDigest,
    /// Class of the fact, with its person.
    pub member: ClassMember,
}
