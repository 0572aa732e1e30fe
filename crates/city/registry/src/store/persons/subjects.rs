//! Subjects of the persons that were found, and what of it differs from the store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{CityPseudonym, Contest, MAX_COMPONENT_NAMES, Persons, SubjectId};

use super::PersonsChanged;
use super::component::Loaded;
use crate::store::marks::NewMarks;
use crate::store::person_statements::{NameRow, NameValue};
use crate::store::transaction::{Abort, StoreTransaction};

/// Subject that exists, or one to be made.
#[derive(Clone, Copy)]
enum SubjectRef {
    Existing(SubjectId),
    /// Index of a new subject, from 0.
    New(usize),
}

/// Name with the subject it gets.
struct AssignedName {
    name: CityPseudonym,
    subject: SubjectRef,
    apart: bool,
}

/// Persons with their subjects, as far as they differ from what is stored.
#[derive(Default)]
pub(super) struct Assigned {
    added: Vec<AssignedName>,
    changed: Vec<AssignedName>,
    orphans: Vec<NameValue>,
    /// Subjects that a person has already.
    taken: HashSet<SubjectId>,
    /// Strongest names of the subjects of which some names were not read.
    held: HashMap<SubjectId, NameValue>,
    new_subjects: usize,
    /// Subjects that a name has left.
    left: BTreeSet<SubjectId>,
    /// Names whose contests are replaced.
    settled: Vec<NameValue>,
    contests: Vec<Contest>,
}

impl Assigned {
    /// Notes the subjects of which some names were not read. To be called before any of `all` is
    /// added.
    pub(super) async fn hold(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        all: &[Loaded],
    ) -> Result<(), Abort> {
        let doubtful = all.iter().filter(|loaded| loaded.may_lack_names());
        let mut subjects: Vec<SubjectId> = doubtful
            .flat_map(|loaded| loaded.rows.iter().chain(&loaded.orphans))
            .map(|row| row.subject)
            .collect();
        subjects.sort_unstable();
        subjects.dedup();
        if subjects.is_empty() {
            return Ok(());
        }
        let read: HashSet<NameValue> = all.iter().flat_map(Loaded::read_names).collect();
        let mut names_of: HashMap<SubjectId, Vec<CityPseudonym>> = HashMap::new();
        let limit = 4 * MAX_COMPONENT_NAMES;
        for row in transaction.names_of_subjects(&subjects, limit).await? {
            names_of.entry(row.subject).or_default().push(row.name);
        }
        for (subject, names) in names_of {
            let all_read =
                names.len() < limit && names.iter().all(|name| read.contains(&name.value));
            let strongest = names.iter().min_by_key(|name| name.strength());
            if let Some(strongest) = strongest.filter(|_| !all_read) {
                self.held.insert(subject, strongest.value);
            }
        }
        Ok(())
    }

    /// Gives the persons of a component their subjects.
    pub(super) fn add(&mut self, persons: &Persons, loaded: &Loaded) {
        let rows: HashMap<NameValue, &NameRow> = loaded
            .rows
            .iter()
            .map(|row| (row.name.value, row))
            .collect();
        let new_names: HashMap<NameValue, &CityPseudonym> = loaded
            .new_names
            .iter()
            .map(|name| (name.value, name))
            .collect();
        for group in &persons.groups {
            let members = || group.iter().filter_map(|value| rows.get(value).copied());
            let lead = members().min_by_key(|row| row.name.strength());
            let subject = match lead {
                // Nothing changes for it, so the others come to it.
                Some(lead) if loaded.unread.contains(&lead.name.value) => {
                    self.taken.insert(lead.subject);
                    SubjectRef::Existing(lead.subject)
                }
                Some(lead) if loaded.component.is_cut => {
                    self.subject_of(group, std::iter::once(lead))
                }
                _ => self.subject_of(group, members()),
            };
            for value in group.iter().filter(|value| !loaded.unread.contains(*value)) {
                if let Some(row) = rows.get(value) {
                    // A hub joins others again once it has few enough sets.
                    let apart = persons.is_apart || loaded.hubs.contains(value);
                    self.keep_or_change(row, subject, apart);
                } else if let Some(name) = new_names.get(value) {
                    self.added.push(AssignedName {
                        name: **name,
                        subject,
                        apart: persons.is_apart,
                    });
                }
            }
        }
        for orphan in &loaded.orphans {
            self.orphans.push(orphan.name.value);
            self.left.insert(orphan.subject);
        }
        let is_contested = persons.is_apart || !loaded.hubs.is_empty();
        if is_contested || loaded.rows.iter().any(|row| row.apart) {
            let read = |row: &&NameRow| !loaded.unread.contains(&row.name.value);
            let values = loaded.rows.iter().filter(read).map(|row| row.name.value);
            self.settled.extend(values.chain(new_names.into_keys()));
            self.contests.extend(&persons.contests);
        }
    }

    /// Marks every person that changes: by the names that get another subject, are removed, or whose
    /// contests may change, and by the subjects that they leave.
    pub(super) fn mark(&self, marks: &mut NewMarks) {
        let changed = self.changed.iter().map(|assigned| assigned.name.value);
        let contested = self.contests.iter().map(|contest| contest.name);
        marks.names.extend(changed.chain(contested));
        marks.names.extend(self.orphans.iter().chain(&self.settled));
        marks.subjects.extend(&self.left);
    }

    /// Subject that most of the names have and no other person has taken, or a new one. A subject
    /// of which some names were not read goes with its strongest name only.
    fn subject_of<'a>(
        &mut self,
        group: &[NameValue],
        members: impl Iterator<Item = &'a NameRow>,
    ) -> SubjectRef {
        let mut names_of: BTreeMap<SubjectId, usize> = BTreeMap::new();
        for row in members {
            let strongest = self.held.get(&row.subject);
            let may_take = strongest.is_none_or(|strongest| group.contains(strongest));
            if may_take && !self.taken.contains(&row.subject) {
                *names_of.entry(row.subject).or_default() += 1;
            }
        }
        let most = names_of.into_iter().max_by_key(|(_, names)| *names);
        if let Some((subject, _)) = most {
            self.taken.insert(subject);
            return SubjectRef::Existing(subject);
        }
        self.new_subjects += 1;
        SubjectRef::New(self.new_subjects - 1)
    }

    fn keep_or_change(&mut self, row: &NameRow, subject: SubjectRef, apart: bool) {
        let stays = matches!(subject, SubjectRef::Existing(id) if id == row.subject);
        if !stays {
            self.left.insert(row.subject);
        }
        if !stays || row.apart != apart {
            self.changed.push(AssignedName {
                name: row.name,
                subject,
                apart,
            });
        }
    }
}

/// Writes what differs.
pub(super) async fn write(
    transaction: &mut dyn StoreTransaction,
    mut assigned: Assigned,
    now: DateTime<Utc>,
) -> Result<PersonsChanged, Abort> {
    let new_ids = random_ids(assigned.new_subjects);
    // A random number that is taken already is as likely as a hit in 2^63 over their number; the
    // next try draws again.
    let all_differ = new_ids.len() == assigned.new_subjects;
    if !all_differ
        || (!new_ids.is_empty()
            && transaction.add_subjects(&new_ids).await? != new_ids.len() as u64)
    {
        return Err(Abort::Raced);
    }
    let row_of = |assigned: &AssignedName| NameRow {
        name: assigned.name,
        subject: match assigned.subject {
            SubjectRef::Existing(id) => id,
            SubjectRef::New(index) => new_ids[index],
        },
        apart: assigned.apart,
    };
    assigned
        .added
        .sort_unstable_by_key(|assigned| assigned.name.value);
    let added: Vec<NameRow> = assigned.added.iter().map(row_of).collect();
    if !added.is_empty() && transaction.add_names(&added).await? != added.len() as u64 {
        return Err(Abort::Raced);
    }
    let changed: Vec<NameRow> = assigned.changed.iter().map(row_of).collect();
    if !changed.is_empty() {
        transaction.change_names(&changed).await?;
    }
    if !assigned.orphans.is_empty() {
        transaction.remove_names(&assigned.orphans).await?;
    }
    let mut done = PersonsChanged::default();
    let left: Vec<SubjectId> = assigned.left.into_iter().collect();
    if !left.is_empty() {
        done.ended = transaction
            .remove_empty_subjects(&left)
            .await?
            .saturating_as();
    }
    if !assigned.settled.is_empty() {
        let contests = transaction
            .put_contests(&assigned.settled, &assigned.contests, now)
            .await?;
        done.contests = contests.saturating_as();
    }
    Ok(done)
}

/// Random numbers of 63 bits, each once, sorted: ids in a row would show who came together.
fn random_ids(count: usize) -> Vec<SubjectId> {
    let mut bytes = vec![0; count * size_of::<SubjectId>()];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let (chunks, _) = bytes.as_chunks();
    let ids: BTreeSet<SubjectId> = chunks
        .iter()
        .map(|chunk| SubjectId::from_le_bytes(*chunk) & SubjectId::MAX)
        .collect();
    Vec::from_iter(ids)
}
