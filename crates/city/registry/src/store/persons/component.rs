//! Reading of the components that names are in, up to a limit.

use std::collections::{BTreeSet, HashMap, HashSet};

use linking::{
    CityPseudonym, Component, Decision, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS, NameSet,
    NameSetId, SubjectId,
};

use crate::store::person_statements::{NameRow, NameValue, SetRow};
use crate::store::transaction::{Abort, StoreTransaction};

/// Number of names and sets that a bounded transaction may read beside those of its events: what is
/// read, judged and written again within half a second. Few under test.
const MAX_READ: usize = if cfg!(test) { 300 } else { 16_000 };
/// Number of names whose links are looked up at once; each has at most one more than
/// [`MAX_COMPONENT_SETS`].
const NAMES_AT_ONCE: usize = 1000;

/// Component as it was read.
pub(super) struct Loaded {
    /// Sets and decisions.
    pub(super) component: Component,
    /// Names of the component that are stored.
    pub(super) rows: Vec<NameRow>,
    /// Names of the component that are not stored yet.
    pub(super) new_names: Vec<CityPseudonym>,
    /// Stored names that no set states any more.
    pub(super) orphans: Vec<NameRow>,
    /// Names whose sets were not read: nothing changes for them.
    pub(super) unread: HashSet<NameValue>,
    /// Weak names of more sets than are read: each is a person by itself.
    pub(super) hubs: Vec<NameValue>,
}

impl Loaded {
    /// Component of sets of which no name is stored.
    pub(super) fn fresh(sets: &[NameSet]) -> Self {
        let mut new_names: Vec<CityPseudonym> =
            sets.iter().flat_map(|set| &set.names).copied().collect();
        new_names.sort_unstable_by_key(|name| name.value);
        new_names.dedup_by_key(|name| name.value);
        Self {
            new_names,
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            component: Component::default(),
            rows: Vec::new(),
            new_names: Vec::new(),
            orphans: Vec::new(),
            unread: HashSet::new(),
            hubs: Vec::new(),
        }
    }

    /// Stored names that were read.
    pub(super) fn read_names(&self) -> impl Iterator<Item = NameValue> + '_ {
        let rows = self.rows.iter().chain(&self.orphans);
        rows.map(|row| row.name.value)
            .filter(|value| !self.unread.contains(value))
    }

    /// Returns whether some names of the subjects may not have been read.
    pub(super) fn may_lack_names(&self) -> bool {
        let mut rows = self.rows.iter().chain(&self.orphans);
        self.component.is_cut || !self.hubs.is_empty() || rows.any(|row| row.apart)
    }
}

/// Components that are being read, from some of their names on.
pub(super) struct Reading<'a> {
    has_decisions: bool,
    new_names: &'a HashMap<NameValue, CityPseudonym>,
    rows: HashMap<NameValue, NameRow>,
    sets: HashMap<NameSetId, SetRow>,
    decisions: Vec<Decision>,
    /// Names that were met, each in a component.
    names: HashMap<NameValue, usize>,
    /// Names of more sets than are read.
    hubs: HashSet<NameValue>,
    parents: Vec<usize>,
    sizes: Vec<Size>,
    unread: HashSet<NameValue>,
    /// Number of names and sets that may be read.
    room: usize,
}

/// Size of a component.
#[derive(Clone, Copy, Default)]
struct Size {
    names: usize,
    sets: usize,
}

impl Size {
    const fn is_beyond_limits(self) -> bool {
        self.names > MAX_COMPONENT_NAMES || self.sets > MAX_COMPONENT_SETS
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        has_decisions: bool,
        new_names: &'a HashMap<NameValue, CityPseudonym>,
    ) -> Self {
        Self {
            has_decisions,
            new_names,
            rows: HashMap::new(),
            sets: HashMap::new(),
            decisions: Vec::new(),
            names: HashMap::new(),
            hubs: HashSet::new(),
            parents: Vec::new(),
            sizes: Vec::new(),
            unread: HashSet::new(),
            room: usize::MAX,
        }
    }

    /// Gives up where more than so much would be read, beside `own` names of events.
    pub(super) const fn bound(&mut self, own: usize) {
        self.room = MAX_READ.saturating_add(own);
    }

    /// Fails where more is to be read than there is room for.
    fn check_room(&self, more: usize) -> Result<(), Abort> {
        if self.names.len() + self.sets.len() + more > self.room {
            return Err(Abort::TooMuch);
        }
        Ok(())
    }

    /// Subjects of the stored names that were read.
    pub(super) fn subjects(&self) -> impl Iterator<Item = SubjectId> {
        let read = |row: &&NameRow| !self.unread.contains(&row.name.value);
        self.rows.values().filter(read).map(|row| row.subject)
    }

    /// Reads the components of `values`, and locks their sets.
    ///
    /// A component beyond the limits is not read to its end: of its names that are apart already
    /// only those of `values` are read, since nothing changes for the others.
    pub(super) async fn read(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        values: &[NameValue],
    ) -> Result<(), Abort> {
        let first: HashSet<NameValue> = values.iter().copied().collect();
        let mut next: Vec<NameValue> = values.to_vec();
        for value in values {
            self.number_of(value);
        }
        while !next.is_empty() {
            let rows = transaction.names(&next).await?;
            self.rows
                .extend(rows.into_iter().map(|row| (row.name.value, row)));
            let expanded: Vec<NameValue> = next
                .into_iter()
                .filter(|value| first.contains(value) || self.is_to_be_read(value))
                .collect();
            let mut met = BTreeSet::new();
            for some in expanded.chunks(NAMES_AT_ONCE) {
                met.extend(self.follow_links(transaction, some).await?);
            }
            if self.has_decisions {
                met.extend(self.follow_decisions(transaction, &expanded).await?);
            }
            next = met.into_iter().collect();
            self.check_room(0)?;
        }
        Ok(())
    }

    /// Returns whether a name's sets are read, and notes where not.
    fn is_to_be_read(&mut self, value: &NameValue) -> bool {
        let component = self.number_of(value);
        let is_apart = self.rows.get(value).is_some_and(|row| row.apart);
        let is_read = !(is_apart && self.sizes[component].is_beyond_limits());
        if !is_read {
            self.unread.insert(*value);
        }
        is_read
    }

    /// Takes in the sets of these names; returns names that were not met before.
    async fn follow_links(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        values: &[NameValue],
    ) -> Result<BTreeSet<NameValue>, Abort> {
        let links = transaction.links(values, MAX_COMPONENT_SETS + 1).await?;
        let mut links_of: HashMap<NameValue, usize> = HashMap::new();
        for (value, _) in &links {
            *links_of.entry(*value).or_default() += 1;
        }
        let beyond = links_of
            .iter()
            .filter(|(_, links)| **links > MAX_COMPONENT_SETS);
        let beyond: Vec<NameValue> = beyond.map(|(value, _)| *value).collect();
        self.hubs.extend(&beyond);
        let new_hubs = self.hubs_among_others(transaction, &beyond).await?;
        let mut ids: Vec<NameSetId> = links
            .iter()
            .filter(|(value, set)| {
                let is_followed = !self.hubs.contains(value) || new_hubs.contains(value);
                is_followed && !self.sets.contains_key(set)
            })
            .map(|(_, set)| *set)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        for value in &beyond {
            if !self.is_weak(value) {
                let component = self.number_of(value);
                self.sizes[component].sets += MAX_COMPONENT_SETS + 1;
            }
        }
        self.check_room(ids.len())?;
        let mut met = BTreeSet::new();
        for row in transaction.lock_sets(&ids).await? {
            met.extend(
                row.names
                    .iter()
                    .filter(|value| !self.names.contains_key(*value)),
            );
            let joined = self.joined_by(&row);
            if !joined.is_empty() {
                let component = self.connect(&joined);
                self.sizes[component].sets += 1;
            }
            for value in &row.names {
                self.number_of(value);
            }
            self.sets.insert(row.id, row);
        }
        Ok(met)
    }

    /// Weak hubs that share a subject with other names. A name has just become a hub then, and
    /// leaves the others: their sets are followed this once.
    async fn hubs_among_others(
        &self,
        transaction: &mut dyn StoreTransaction,
        hubs: &[NameValue],
    ) -> Result<HashSet<NameValue>, Abort> {
        let rows = hubs.iter().filter(|value| self.is_weak(value));
        let rows: Vec<&NameRow> = rows.filter_map(|value| self.rows.get(value)).collect();
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        let mut subjects: Vec<SubjectId> = rows.iter().map(|row| row.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut others: HashSet<SubjectId> = HashSet::new();
        for other in transaction.names_of_subjects(&subjects, 2).await? {
            if !hubs.contains(&other.name.value) {
                others.insert(other.subject);
            }
        }
        let among_others = rows.into_iter().filter(|row| others.contains(&row.subject));
        Ok(among_others.map(|row| row.name.value).collect())
    }

    /// Takes in the operators' decisions about these names; returns names that were not met before.
    async fn follow_decisions(
        &mut self,
        transaction: &mut dyn StoreTransaction,
        values: &[NameValue],
    ) -> Result<Vec<NameValue>, Abort> {
        let mut met = Vec::new();
        for decision in transaction.decisions(values).await? {
            if let Decision::Together(one, other) = decision {
                met.extend(
                    [one, other]
                        .iter()
                        .filter(|value| !self.names.contains_key(*value)),
                );
                self.connect(&[one, other]);
            }
            if !self.decisions.contains(&decision) {
                self.decisions.push(decision);
            }
        }
        Ok(met)
    }

    /// Puts names into one component, and returns its number.
    fn connect(&mut self, names: &[NameValue]) -> usize {
        let mut component = self.number_of(&names[0]);
        for name in &names[1..] {
            let other = self.number_of(name);
            if other != component {
                let moved = self.sizes[other];
                self.parents[other] = component;
                self.sizes[component].names += moved.names;
                self.sizes[component].sets += moved.sets;
            }
            component = root(&mut self.parents, component);
        }
        component
    }

    fn number_of(&mut self, value: &NameValue) -> usize {
        let next = self.parents.len();
        let number = *self.names.entry(*value).or_insert(next);
        if number == next {
            self.parents.push(next);
            self.sizes.push(Size { names: 1, sets: 0 });
        }
        root(&mut self.parents, number)
    }

    /// Names that a set joins: all but those that are persons by themselves.
    fn joined_by(&self, set: &SetRow) -> Vec<NameValue> {
        let names = set.names.iter();
        names
            .filter(|value| !self.hubs.contains(*value) || !self.is_weak(value))
            .copied()
            .collect()
    }

    /// Components that were read.
    pub(super) fn into_components(mut self) -> Vec<Loaded> {
        self.connect_anew();
        let mut components: HashMap<usize, Loaded> = HashMap::new();
        let mut stated: HashSet<NameValue> = HashSet::new();
        for row in std::mem::take(&mut self.sets).into_values() {
            stated.extend(&row.names);
            let joined = self.joined_by(&row);
            let names: Vec<CityPseudonym> =
                joined.iter().filter_map(|value| self.name(value)).collect();
            if let Some(first) = names.first() {
                let number = self.number_of(&first.value);
                let loaded = components.entry(number).or_insert_with(Loaded::empty);
                loaded.component.sets.push(NameSet {
                    id: row.id,
                    names,
                    records: row.records.unsigned_abs(),
                });
            }
        }
        let values: Vec<NameValue> = self.names.keys().copied().collect();
        for value in values {
            let number = self.number_of(&value);
            let loaded = components.entry(number).or_insert_with(Loaded::empty);
            loaded.component.is_cut = self.sizes[number].is_beyond_limits();
            self.take_name(&value, &stated, loaded);
        }
        for decision in &self.decisions {
            let (Decision::Alone(name) | Decision::Together(name, _)) = *decision;
            if let Some(number) = self.names.get(&name).copied() {
                let number = root(&mut self.parents, number);
                if let Some(loaded) = components.get_mut(&number) {
                    loaded.component.decisions.push(*decision);
                }
            }
        }
        components.into_values().collect()
    }

    /// Connects all names once more, now that every hub is known.
    fn connect_anew(&mut self) {
        let names: Vec<NameValue> = std::mem::take(&mut self.names).into_keys().collect();
        self.parents.clear();
        self.sizes.clear();
        for value in &names {
            self.number_of(value);
        }
        for row in std::mem::take(&mut self.sets).into_values() {
            let joined = self.joined_by(&row);
            if !joined.is_empty() {
                let component = self.connect(&joined);
                self.sizes[component].sets += 1;
            }
            self.sets.insert(row.id, row);
        }
        for decision in self.decisions.clone() {
            if let Decision::Together(one, other) = decision {
                self.connect(&[one, other]);
            }
        }
        let unread = self.unread.clone();
        for value in self.hubs.clone().into_iter().chain(unread) {
            if !self.is_weak(&value) || self.unread.contains(&value) {
                let component = self.number_of(&value);
                self.sizes[component].sets += MAX_COMPONENT_SETS + 1;
            }
        }
    }

    fn take_name(&self, value: &NameValue, stated: &HashSet<NameValue>, loaded: &mut Loaded) {
        let is_hub = self.hubs.contains(value);
        if self.unread.contains(value) {
            loaded.unread.insert(*value);
        }
        if is_hub && self.is_weak(value) {
            loaded.hubs.push(*value);
        }
        let is_stated = is_hub || stated.contains(value);
        match (self.rows.get(value), is_stated) {
            (Some(row), true) => loaded.rows.push(*row),
            (Some(row), false) => loaded.orphans.push(*row),
            (None, true) => loaded.new_names.extend(self.new_names.get(value)),
            (None, false) => {}
        }
    }

    fn is_weak(&self, value: &NameValue) -> bool {
        self.name(value).is_some_and(|name| !name.is_anchor())
    }

    fn name(&self, value: &NameValue) -> Option<CityPseudonym> {
        let row = self.rows.get(value).map(|row| row.name);
        row.or_else(|| self.new_names.get(value).copied())
    }
}

/// Root of a number in a disjoint-set forest (union-find).
pub(super) fn root(parents: &mut [usize], mut number: usize) -> usize {
    while parents[number] != number {
        parents[number] = parents[parents[number]];
        number = parents[number];
    }
    number
}
