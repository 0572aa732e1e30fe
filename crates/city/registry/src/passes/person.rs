//! What the registry knows about the person who asks: facts of one subject, or doubt.

use chrono::{DateTime, Utc};
use contract::{Fact, Pseudonym, Suite};
use eligibility::{Eligibility, Evidence, MAX_FACTS, Rules, evaluate};

use crate::reader::Reader;
use crate::store::{AskedPerson, NameValue, StoreError};
use crate::view::foreign_fact;

/// Person behind the names that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Strongest of the names given that is stored. Passes are counted under it, or under what it
    /// was called before it followed a new key: [`Person::pass_name`].
    name: Option<NameValue>,
    /// Asserted facts of the one subject, as many as the rules look at and one more; none where it
    /// is unknown.
    facts: Vec<Fact>,
    /// True where it is open whose the facts are.
    in_doubt: bool,
}

impl Person {
    /// Finds the person behind pseudonyms as a portal computes them; a value that its suite cannot
    /// have names nobody. Whoever is unknown costs the
    /// store the same statement as whoever is known and has no facts.
    pub(super) async fn find(reader: &Reader, given: &[Pseudonym]) -> Result<Self, StoreError> {
        let mut names = reader.stored_names(given).await?;
        // While a city moves to key services, passes are counted under the name that stays.
        names.sort_by_key(|name| name.suite != Suite::Voprf);
        let values: Vec<NameValue> = names.iter().map(|name| name.value).collect();
        let asked = reader.store.asked_person(&values, MAX_FACTS + 1).await?;
        let name = asked.first_stored.and_then(|place| values.get(place));
        Self::new(name.copied(), &asked)
    }

    /// Finds the person behind a name that passes are counted under.
    pub(super) async fn by_name(reader: &Reader, name: NameValue) -> Result<Self, StoreError> {
        let store = &reader.store;
        let mut present = store.present_name(name).await?;
        loop {
            let asked = store.asked_person(&[present], MAX_FACTS + 1).await?;
            // All names may change between two statements; a name that is stored has not.
            let again = match asked.first_stored {
                Some(_) => present,
                None => store.present_name(name).await?,
            };
            if again == present {
                return Self::new(Some(present), &asked);
            }
            present = again;
        }
    }

    /// Name that the person's passes are counted under, and that their ids follow from; `None`
    /// where the person is unknown.
    pub(super) async fn pass_name(&self, reader: &Reader) -> Result<Option<NameValue>, StoreError> {
        match self.name {
            Some(name) => reader.store.pass_name(name).await.map(Some),
            None => Ok(None),
        }
    }

    fn new(name: Option<NameValue>, asked: &AskedPerson) -> Result<Self, StoreError> {
        let facts = asked.facts.iter();
        let facts = facts.map(|says| says.kind().and_then(|kind| says.fact(kind)));
        let facts: Option<Vec<Fact>> = facts.collect();
        Ok(Self {
            name,
            facts: facts.ok_or_else(foreign_fact)?,
            in_doubt: asked.in_doubt,
        })
    }

    /// Answer of the rules about the person.
    pub(super) fn judged(&self, rules: &Rules, now: DateTime<Utc>) -> Eligibility {
        evaluate(rules, self.evidence(), now)
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
