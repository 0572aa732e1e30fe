//! Marks of the persons whose passes have to be judged anew.
//!
//! What was issued for a name rests on its evidence: the facts of its subject, which names are one
//! subject, and whether one of them is contested. A look judges only what is marked, so that each
//! change must leave a mark that a look which knows the change will find:
//!
//! 1. Whoever changes evidence adds marks **in the same transaction**, whether or not anything was
//!    issued for the person. The transaction does not ask for that: it could not see what another
//!    is just issuing.
//! 2. Whoever issues adds a mark of the name **in the transaction that counts the passes**. So
//!    where evidence changes between its reading and the count, one of the two is committed last,
//!    and its mark is found by no look that does not see the other.
//! 3. A look reads marks by one statement, and what was issued and the evidence by later ones. Each
//!    sees at least what the one before it saw: under READ COMMITTED a statement sees all that was
//!    committed when it began, and in SQLite a reader begins at the last commit. Whatever was not
//!    committed when the marks were read has its own mark, which the look has not read.
//! 4. A look removes exactly the marks that it has read, by their ids, after what has ended is
//!    written. Nothing changes a mark, and no id is used twice; so a mark that is added meanwhile,
//!    also one of the same person, stays for the next look. Two that look at the same time do so
//!    twice, and a look that is broken off leaves its marks.
//!
//! A mark names a person by a name or by its subject, and stands for all names that the person has
//! when the look comes. A name that has left the person by then was moved by a later change, which
//! has marked both.
//!
//! As long as nobody looks, no marks are made: `pass_watch` is empty then. A writer reads it under
//! the writers' lock, which whoever fills it takes alone, so that no writer goes on that has seen
//! it empty. Who looks first has to look at everything, after that; the same holds for whoever
//! finds it empty again.
//!
//! No marks are needed for a person of whom no name was stored: nothing can have been issued to it,
//! but what was marked when its names were removed.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use linking::{IncomingEvent, NameSetId, SubjectId};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::passes::{PassCount, PassKey};
use super::person_statements::NameValue;
use super::rows::digest;
use super::transaction::{Abort, StoreTransaction};
use super::{Store, StoreError, in_time};

/// Time after which marks are removed that nobody has looked at, in hours. Whoever looks again
/// after so long looks at everything.
pub(crate) const MARKS_KEPT_HOURS: i64 = 24;

/// Persons that a transaction has to mark.
#[derive(Debug, Default)]
pub(super) struct NewMarks {
    pub(super) names: BTreeSet<NameValue>,
    pub(super) subjects: BTreeSet<SubjectId>,
    /// Sets of names of which none was stored.
    pub(super) fresh: HashSet<NameSetId>,
}

impl NewMarks {
    /// Marks the persons of facts that are written. Whose a fact was before is marked with the
    /// change of its name set.
    pub(super) fn add_facts(&mut self, written: &[&IncomingEvent]) {
        let asserted = written.iter().filter_map(|event| event.asserted.as_ref());
        let known = asserted.filter(|asserted| !self.fresh.contains(&asserted.name_set));
        let strongest = known.filter_map(|asserted| asserted.pseudonyms.first());
        self.names.extend(strongest.map(|name| name.value));
    }

    /// Writes the marks, where somebody looks at them.
    pub(super) async fn write(
        self,
        transaction: &mut dyn StoreTransaction,
        now: DateTime<Utc>,
    ) -> Result<(), Abort> {
        let is_empty = self.names.is_empty() && self.subjects.is_empty();
        if is_empty || !transaction.is_watched().await? {
            return Ok(());
        }
        let names: Vec<NameValue> = self.names.into_iter().collect();
        let subjects: Vec<SubjectId> = self.subjects.into_iter().collect();
        Ok(transaction.add_marks(&names, &subjects, now).await?)
    }
}

/// Mark that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) id: i64,
    pub(super) person: Marked,
}

/// Person that a mark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// Person of a name, and the name itself where it is not stored.
    Name(NameValue),
    /// Person of a subject.
    Subject(SubjectId),
}

impl<'r, R: Row> FromRow<'r, R> for Mark
where
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Reads the columns in the order of `MARKS`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        let name: Option<Vec<u8>> = row.try_get(1)?;
        Ok(Self {
            id: row.try_get(0)?,
            person: match name {
                Some(name) => Marked::Name(digest(&name)?),
                None => Marked::Subject(row.try_get(2)?),
            },
        })
    }
}

impl Store {
    /// Returns whether changes of evidence are marked.
    pub(crate) async fn is_watched(&self) -> Result<bool, StoreError> {
        in_time(self.backend.is_watched()).await
    }

    /// Has changes of evidence marked from now on. Afterwards no transaction is under way that
    /// makes one without a mark.
    pub(crate) async fn watch(&self) -> Result<(), StoreError> {
        self.alone(|| self.backend.watch()).await
    }

    /// Marks, at most `limit`, the oldest ids first.
    pub(crate) async fn marks(&self, limit: u32) -> Result<Vec<Mark>, StoreError> {
        in_time(self.backend.marks(limit.into())).await
    }

    /// Removes marks that were read.
    pub(crate) async fn remove_marks(&self, marks: &[Mark]) -> Result<(), StoreError> {
        let ids: Vec<i64> = marks.iter().map(|mark| mark.id).collect();
        in_time(self.backend.remove_marks(&ids)).await
    }

    /// Removes marks that nobody has looked at for [`MARKS_KEPT_HOURS`].
    pub(crate) async fn prune_marks(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let before = now - TimeDelta::hours(MARKS_KEPT_HOURS);
        in_time(self.backend.prune_marks(before)).await
    }

    /// Names of the marked persons, as far as something was issued for them that has not ended and
    /// that holds after `now`; sorted.
    pub(crate) async fn marked_names(
        &self,
        marks: &[Mark],
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, StoreError> {
        let mut names = Vec::new();
        let mut subjects = Vec::new();
        for mark in marks {
            match mark.person {
                Marked::Name(name) => names.push(name),
                Marked::Subject(subject) => subjects.push(subject),
            }
        }
        in_time(self.backend.marked_names(&names, &subjects, now)).await
    }

    /// Names for which something was issued that has not ended and that holds after `now`; sorted,
    /// after a name, at most `limit`.
    pub(crate) async fn open_names(
        &self,
        after: Option<NameValue>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, StoreError> {
        in_time(self.backend.open_names(after, limit.into(), now)).await
    }

    /// Counts of passes of these names that have not all ended and whose window ends after `now`,
    /// sorted by key.
    pub(crate) async fn open_passes(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, StoreError> {
        in_time(self.backend.open_passes(names, now)).await
    }

    /// Counts of passes of which some have ended and whose window ends after `now`, sorted by key,
    /// after a key, at most `limit`.
    pub(crate) async fn ended_passes(
        &self,
        after: &PassKey,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, StoreError> {
        in_time(self.backend.ended_passes(after, limit.into(), now)).await
    }
}
