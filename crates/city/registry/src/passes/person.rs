//! What the registry knows about the person who asks: facts of one subject, or doubt.

use contract::{Fact, Pseudonym};
use eligibility::Evidence;

use crate::reader::Reader;
use crate::store::{NameValue, StoreError};
use crate::view::{SubjectView, find_subjects};

/// Person behind the names that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Strongest of the names given that is stored; passes are counted under it.
    pub(super) name: Option<NameValue>,
    /// Asserted facts of the one subject; none where it is unknown.
    facts: Vec<Fact>,
    /// True where it is open whose the facts are.
    in_doubt: bool,
}

impl Person {
    /// Finds the person behind pseudonyms as a portal computes them.
    pub(super) async fn find(reader: &Reader, given: &[Pseudonym]) -> Result<Self, StoreError> {
        let mut names: Vec<_> = given.iter().map(|one| reader.second_layer(one)).collect();
        names.sort_unstable_by_key(linking::CityPseudonym::strength);
        let subjects = find_subjects(&reader.store, &names).await?;
        let known = |value: &NameValue| {
            let mut all = subjects.iter().flat_map(|subject| &subject.pseudonyms);
            all.any(|pseudonym| pseudonym.value == *value)
        };
        let name = names
            .iter()
            .map(|name| name.value)
            .find(|value| known(value));
        // The names that were given are asked for too, so that whoever is unknown costs the store
        // about as many statements as whoever is known and has no facts.
        let given = names.iter().map(|name| name.value).collect();
        Self::of_subjects(reader, name, given, subjects).await
    }

    /// Finds the person behind a name that is stored.
    pub(super) async fn by_name(reader: &Reader, name: NameValue) -> Result<Self, StoreError> {
        let subjects = reader.subjects_by_value(name).await?;
        Self::of_subjects(reader, Some(name), vec![name], subjects).await
    }

    async fn of_subjects(
        reader: &Reader,
        name: Option<NameValue>,
        mut values: Vec<NameValue>,
        subjects: Vec<SubjectView>,
    ) -> Result<Self, StoreError> {
        let all = subjects.iter().flat_map(|subject| &subject.pseudonyms);
        values.extend(all.map(|pseudonym| pseudonym.value));
        values.sort_unstable();
        values.dedup();
        let in_doubt = subjects.len() > 1 || reader.store.are_contested(&values).await?;
        let facts = subjects.into_iter().flat_map(|subject| subject.facts);
        Ok(Self {
            name,
            facts: facts.filter_map(|stored| stored.fact).collect(),
            in_doubt,
        })
    }

    /// What the rules are applied to.
    pub(super) fn evidence(&self) -> Evidence<'_> {
        if self.in_doubt {
            Evidence::InDoubt
        } else {
            Evidence::Facts(&self.facts)
        }
    }
}
