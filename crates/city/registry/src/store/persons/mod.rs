//! Name sets, names and subjects that a group of facts changes: who is one person after it.
//!
//! 1. The numbers of records of the name sets change (`sets.rs`).
//! 2. Sets whose names are all new are persons by themselves. For others the subjects are locked,
//!    and the component is read (`component.rs`).
//! 3. `linking::persons` says who is one person.
//! 4. Every person gets a subject, and what differs is written (`subjects.rs`).

mod around;
mod clusters;
mod component;
mod sets;
mod subjects;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use linking::{
    CityPseudonym, Component, Contest, ContestKind, Decision, LinkRules, NameSet, Persons,
    SetChange, SubjectId, persons,
};

use super::marks::NewMarks;
use super::person_statements::{NameRow, NameValue};
use super::transaction::{Abort, StoreTransaction};
pub(super) use around::look_around;
pub use around::{Around, PersonAround};
use clusters::clusters;
use component::{Loaded, Reading};
use sets::{ChangedSets, change_sets};
use subjects::{Assigned, write};

/// Counts of what a group did to persons.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PersonsChanged {
    /// Number of names that are newly to be looked at.
    pub contests: usize,
    /// Number of subjects that ended.
    pub ended: usize,
}

/// Number of names and sets after which other tasks get their turn: about a millisecond's work.
const TURN: usize = 128;

/// Names that are stored, by their values.
type Known = HashMap<NameValue, NameRow>;

/// Conditions under which persons are linked.
#[derive(Clone, Copy)]
pub(super) struct Linking<'a> {
    pub(super) rules: &'a LinkRules,
    /// True where the transaction is given up rather than read too much.
    pub(super) is_bounded: bool,
    pub(super) now: DateTime<Utc>,
}

/// Changes the name sets, and with them who is one person; adds the persons that this changes to
/// the marks.
pub(super) async fn relink(
    transaction: &mut dyn StoreTransaction,
    changes: &[SetChange<'_>],
    linking: Linking<'_>,
    marks: &mut NewMarks,
) -> Result<PersonsChanged, Abort> {
    let rules = linking.rules;
    if changes.is_empty() {
        return Ok(PersonsChanged::default());
    }
    let changed = change_sets(transaction, changes).await?;
    let has_decisions = transaction.has_decisions().await?;
    let looked_at = changed.names_to_look_at();
    let known = known(transaction, &looked_at).await?;
    let sorted = sort(&changed, &known, has_decisions);
    let mut assigned = Assigned::default();
    let mut turn = Turn::default();
    for set in &sorted.fresh {
        turn.take(set.len()).await;
        marks.fresh.extend(set.iter().map(|set| set.id));
        let component = Component {
            sets: set.clone(),
            ..Component::default()
        };
        assigned.add(&decide(&component, rules), &Loaded::fresh(set));
    }
    if !sorted.touched.is_empty() {
        marks.names.extend(&sorted.touched);
        let names = changed.new_names();
        let touched = Touched {
            values: sorted.touched,
            names,
            has_decisions,
            is_bounded: linking.is_bounded,
        };
        recompute(transaction, touched, &known, rules, &mut assigned).await?;
    }
    assigned.mark(marks);
    write(transaction, assigned, linking.now).await
}

/// Writes an operator's decision, and changes who is one person by it. Returns `None` where it
/// changed nothing.
pub(super) async fn decide_by_operator(
    transaction: &mut dyn StoreTransaction,
    decision: Decision,
    holds: bool,
    rules: &LinkRules,
    now: DateTime<Utc>,
) -> Result<Option<PersonsChanged>, Abort> {
    // Alone, since a decision may put together what two others work on.
    transaction.lock_writers(true).await?;
    if !transaction.decide(decision, holds, now).await? {
        return Ok(None);
    }
    transaction.add_action(decision, holds, now).await?;
    let values = match decision {
        Decision::Alone(name) => BTreeSet::from([name]),
        Decision::Together(one, other) => BTreeSet::from([one, other]),
    };
    let mut marks = NewMarks::default();
    marks.names.extend(&values);
    let looked_at: Vec<NameValue> = values.iter().copied().collect();
    let known = known(transaction, &looked_at).await?;
    // The decision may outlast the names.
    let names: Vec<CityPseudonym> = known.values().map(|row| row.name).collect();
    transaction.add_decided_names(&names).await?;
    let assigned = judge(transaction, values, &known, rules).await?;
    assigned.mark(&mut marks);
    let changed = write(transaction, assigned, now).await?;
    marks.write(transaction, now).await?;
    Ok(Some(changed))
}

/// Finds anew who is one person with these names, by what is stored. Nobody is marked.
pub(super) async fn judge_anew(
    transaction: &mut dyn StoreTransaction,
    values: &[NameValue],
    rules: &LinkRules,
    now: DateTime<Utc>,
) -> Result<(), Abort> {
    let known = known(transaction, values).await?;
    let values = values.iter().copied().collect();
    let assigned = judge(transaction, values, &known, rules).await?;
    write(transaction, assigned, now).await.map(drop)
}

/// Finds the persons of these names' components, which may be of any number of subjects.
async fn judge(
    transaction: &mut dyn StoreTransaction,
    values: BTreeSet<NameValue>,
    known: &Known,
    rules: &LinkRules,
) -> Result<Assigned, Abort> {
    let touched = Touched {
        values,
        names: HashMap::new(),
        has_decisions: true,
        is_bounded: false,
    };
    let mut assigned = Assigned::default();
    recompute(transaction, touched, known, rules, &mut assigned).await?;
    Ok(assigned)
}

/// New sets by what has to be done about them.
struct SortedSets {
    /// Connected new sets of which no name is stored.
    fresh: Vec<Vec<NameSet>>,
    /// Names whose persons may change.
    touched: BTreeSet<NameValue>,
}

fn sort(changed: &ChangedSets, known: &Known, has_decisions: bool) -> SortedSets {
    let mut sorted = SortedSets {
        fresh: Vec::new(),
        touched: BTreeSet::new(),
    };
    for cluster in clusters(&changed.added) {
        let is_fresh = !has_decisions
            && cluster
                .iter()
                .flat_map(|set| &set.names)
                .all(|name| !known.contains_key(&name.value));
        if is_fresh {
            sorted.fresh.push(cluster);
        } else {
            let names = cluster.iter().flat_map(|set| &set.names);
            sorted.touched.extend(names.map(|name| name.value));
        }
    }
    for set in changed.shrunk.iter().chain(&changed.removed) {
        sorted.touched.extend(&set.names);
    }
    for set in &changed.grown {
        if set.names.iter().any(|name| is_apart(known, name)) {
            sorted.touched.extend(&set.names);
        }
    }
    sorted
}

fn is_apart(known: &Known, name: &NameValue) -> bool {
    known.get(name).is_some_and(|row| row.apart)
}

/// Work done since other tasks had their turn.
#[derive(Default)]
struct Turn(usize);

impl Turn {
    /// Lets other tasks have their turn before `work` more names and sets, where it is due.
    async fn take(&mut self, work: usize) {
        if self.0 >= TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
        self.0 += work;
    }
}

/// Names whose persons may change.
struct Touched {
    values: BTreeSet<NameValue>,
    /// Names of the new sets.
    names: HashMap<NameValue, CityPseudonym>,
    has_decisions: bool,
    /// True where the transaction is given up rather than read too much.
    is_bounded: bool,
}

impl Touched {
    fn reading(&self) -> Reading<'_> {
        let mut reading = Reading::new(self.has_decisions, &self.names);
        if self.is_bounded {
            reading.bound(self.values.len());
        }
        reading
    }
}

/// Locks the subjects of the touched names, reads their components, and finds their persons.
async fn recompute(
    transaction: &mut dyn StoreTransaction,
    touched: Touched,
    known: &Known,
    rules: &LinkRules,
    assigned: &mut Assigned,
) -> Result<(), Abort> {
    let values: Vec<NameValue> = touched.values.iter().copied().collect();
    let mut subjects: BTreeSet<SubjectId> = values
        .iter()
        .filter_map(|value| known.get(value))
        .map(|row| row.subject)
        .collect();
    let reaches_further =
        touched.has_decisions || values.iter().any(|value| is_apart(known, value));
    if reaches_further {
        // Persons that are kept apart are one component of several subjects: all are locked.
        let mut reading = touched.reading();
        reading.read(transaction, &values).await?;
        subjects.extend(reading.subjects());
    }
    let locked: Vec<SubjectId> = subjects.into_iter().collect();
    transaction.lock_subjects(&locked).await?;
    let mut reading = touched.reading();
    reading.read(transaction, &values).await?;
    // Another writer may have changed something between the first look and the lock.
    if reading
        .subjects()
        .any(|id| locked.binary_search(&id).is_err())
    {
        return Err(Abort::Raced);
    }
    let all = reading.into_components();
    assigned.hold(transaction, &all).await?;
    let mut turn = Turn::default();
    for loaded in &all {
        turn.take(loaded.rows.len() + loaded.component.sets.len())
            .await;
        assigned.add(&decide_loaded(loaded, rules), loaded);
    }
    Ok(())
}

/// Finds the persons of a component that was read; a hub is a person by itself, and contested.
fn decide_loaded(loaded: &Loaded, rules: &LinkRules) -> Persons {
    let mut persons = decide(&loaded.component, rules);
    let alone = loaded.hubs.iter().map(|hub| vec![*hub]);
    persons.groups.extend(alone);
    let too_large = loaded.hubs.iter().map(|hub| Contest {
        name: *hub,
        kind: ContestKind::TooLarge,
    });
    persons.contests.extend(too_large);
    persons
}

/// Finds the persons of a component; those of one set without a contradiction at once.
fn decide(component: &Component, rules: &LinkRules) -> Persons {
    if let [set] = component.sets.as_slice()
        && component.decisions.is_empty()
        && !component.is_cut
        && !contradicts_itself(set)
    {
        let mut names: Vec<NameValue> = set.names.iter().map(|name| name.value).collect();
        names.sort_unstable();
        return Persons {
            groups: vec![names],
            ..Persons::default()
        };
    }
    persons(component, rules)
}

fn contradicts_itself(set: &NameSet) -> bool {
    let anchors = || set.names.iter().filter(|name| name.is_anchor());
    anchors().any(|one| anchors().any(|other| one.contradicts(other)))
}

async fn known(
    transaction: &mut dyn StoreTransaction,
    values: &[NameValue],
) -> Result<Known, Abort> {
    let rows = transaction.names(values).await?;
    Ok(rows.into_iter().map(|row| (row.name.value, row)).collect())
}

/// Values by which things are found, each once, sorted.
fn sorted_values(values: impl Iterator<Item = NameValue>) -> Vec<NameValue> {
    let sorted: BTreeSet<NameValue> = values.collect();
    sorted.into_iter().collect()
}
