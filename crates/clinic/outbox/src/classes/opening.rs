//! Which classes of a page are open, which open with it, and which stay small.

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::{ContentDigest, RecordDigest};
use draft::{ClassMember, CoarserFact, Draft, FactClass, Persons};
use record_secrets::{ClassDigest, ClassPerson};
use sqlx::sqlite::SqlitePool;

use super::read::{Written, members, open_classes, written};
use super::store::MemberState;
use crate::file::OutboxError;
use crate::records::{Key, KnownRecord, RecordMap, key_of};

/// Classes of a page, by whether they are open.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Classes that stay small with this page.
    small: HashSet<ClassDigest>,
    /// Classes that the page opens.
    opened: Vec<ClassDigest>,
    /// Records of the page whose facts leave with a coarser date, and how many times coarser.
    coarser: HashMap<RecordDigest, usize>,
    /// Records among those whose facts stand so by another policy: they leave as they are once their
    /// own class is open.
    coarser_by_policy: HashSet<RecordDigest>,
    /// Records of the page whose facts, in small classes, stand at the registry from before.
    standing: HashSet<RecordDigest>,
}

impl Opening {
    /// Decides about the classes of a page's facts. `of_page` are all records of the page: what was
    /// written of these before does not count any more.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn decide(
        pool: &SqlitePool,
        candidates: &[&Draft],
        known: &RecordMap<KnownRecord>,
        of_page: &HashSet<&RecordDigest>,
    ) -> Result<Self, OutboxError> {
        let candidates = candidates
            .iter()
            .filter_map(|draft| Some((draft.record, draft.class.as_ref()?)));
        let candidates: Vec<(RecordDigest, &FactClass)> = candidates.collect();
        if candidates.is_empty() {
            return Ok(Self::default());
        }
        let mut opening = Self::default();
        let records = candidates.iter().map(|(record, _)| record);
        let written = written(pool, records).await?;
        let mut exact = Vec::with_capacity(candidates.len());
        for (record, class) in candidates {
            let written = written.get(&record);
            let standing = standing_content(known.get(&record));
            if let Some(times) = coarsened(class, standing, written) {
                opening.coarser.insert(record, times);
                continue;
            }
            if written.is_some_and(|written| written.is_of(0, &class.member)) {
                opening.standing.insert(record);
            }
            exact.push((record, class));
        }
        opening.count(pool, &exact, of_page).await?;
        // What stands with a coarser date by another policy stays, where its own class is small.
        for (record, class) in exact {
            let standing = standing_content(known.get(&record));
            if let Some(times) = stands_coarser(class, standing)
                && opening.is_small(class)
            {
                opening.coarser.insert(record, times);
                opening.coarser_by_policy.insert(record);
            }
        }
        Ok(opening)
    }

    /// Counts the persons of classes that are not open, those of the page's facts included.
    async fn count(
        &mut self,
        pool: &SqlitePool,
        of_facts: &[(RecordDigest, &FactClass)],
        of_page: &HashSet<&RecordDigest>,
    ) -> Result<(), OutboxError> {
        let mut sizes: BTreeMap<ClassDigest, ClassSize> = BTreeMap::new();
        for (_, class) in of_facts {
            let size = sizes.entry(class.member.class);
            size.or_insert_with(|| ClassSize::new(class.least_persons));
        }
        for open in open_classes(pool, sizes.keys()).await? {
            sizes.remove(&open);
        }
        for written in members(pool, sizes.keys()).await? {
            if !of_page.contains(&written.record) {
                add_to(&mut sizes, &written.member);
            }
        }
        for (_, class) in of_facts {
            add_to(&mut sizes, &class.member);
        }
        for (class, size) in sizes {
            if size.is_large() {
                self.opened.push(class);
            } else {
                self.small.insert(class);
            }
        }
        Ok(())
    }

    /// The fact with a coarser date as which the draft's leaves, and how it counts then; `None` where
    /// it leaves as it is, or not.
    pub(crate) fn coarser<'a>(&self, draft: &'a Draft) -> Option<(MemberState, &'a CoarserFact)> {
        let times = *self.coarser.get(&draft.record)?;
        let fact = draft.class.as_ref()?.coarser.get(times - 1)?;
        let state = if self.coarser_by_policy.contains(&draft.record) {
            MemberState::Standing
        } else {
            MemberState::Coarsened(times)
        };
        Some((state, fact))
    }

    /// Returns whether facts of the class stay at the clinic.
    pub(crate) fn is_small(&self, class: &FactClass) -> bool {
        self.small.contains(&class.member.class)
    }

    /// Returns whether the draft's fact, in its small class, stands at the registry from before: then
    /// it is sent again where that is asked for.
    pub(crate) fn stands(&self, draft: &Draft) -> bool {
        self.standing.contains(&draft.record)
    }

    /// Returns whether any class of the page stays small.
    pub(crate) fn any_small(&self) -> bool {
        !self.small.is_empty()
    }

    /// Classes that the page opens, sorted.
    pub(crate) fn opened(&self) -> &[ClassDigest] {
        &self.opened
    }

    /// Keys of the classes whose records decide: two pages that have one in common are not
    /// independent. A class that was open before decides nothing any more.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let decided = self.small.iter().chain(&self.opened);
        decided.map(class_key).collect()
    }
}

/// Key by which the commit gate knows a class.
fn class_key(class: &ClassDigest) -> Key {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&class.0);
    key_of(&RecordDigest(digest))
}

/// Persons of a class, and the least number of them at which it is open.
#[derive(Debug)]
pub(super) struct ClassSize {
    least_persons: u8,
    persons: Persons<ClassPerson>,
}

impl ClassSize {
    pub(super) fn new(least_persons: u8) -> Self {
        Self {
            least_persons,
            persons: Persons::default(),
        }
    }

    /// Takes in the person of a fact.
    pub(super) fn add(&mut self, person: &[ClassPerson]) {
        self.persons.add(person);
    }

    /// Returns whether persons are enough.
    pub(super) fn is_large(&self) -> bool {
        self.persons.count() >= u64::from(self.least_persons)
    }
}

/// Adds a person to the class, if it is among these.
pub(super) fn add_to(sizes: &mut BTreeMap<ClassDigest, ClassSize>, member: &ClassMember) {
    if let Some(size) = sizes.get_mut(&member.class) {
        size.add(&member.person);
    }
}

/// Content that stands at the registry of a record.
fn standing_content(known: Option<&KnownRecord>) -> Option<ContentDigest> {
    let standing = known.filter(|known| known.is_asserted());
    standing.and_then(|known| known.state.content)
}

/// Number of steps by which the date is coarser of a record that left so after it was withheld, or is
/// due to; `None` of others, and where the row says something else by now.
fn coarsened(
    class: &FactClass,
    standing: Option<ContentDigest>,
    written: Option<&Written>,
) -> Option<usize> {
    let written = written.filter(|written| written.times > 0)?;
    let mut coarser = (1..).zip(&class.coarser);
    let as_written = coarser.find(|(times, coarser)| written.is_of(*times, &coarser.member));
    let as_written = as_written.map(|(times, _)| times);
    as_written.or_else(|| stands_coarser(class, standing))
}

/// Number of steps by which the date is coarser in what stands; `None` where it is not, or where
/// something else stands.
fn stands_coarser(class: &FactClass, standing: Option<ContentDigest>) -> Option<usize> {
    let standing = standing?;
    let mut coarser = (1..).zip(&class.coarser);
    let found = coarser.find(|(_, coarser)| coarser.content == standing);
    found.map(|(times, _)| times)
}
