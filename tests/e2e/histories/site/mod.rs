//! The clinic of a history: its rows, and the system that holds them.

mod fhir;
mod row;
mod sql;

use std::collections::{BTreeMap, BTreeSet};

use clock::{Clock as _, SystemClock};
use testbed::fhir::FhirServer;
use testbed::postgres::Postgres;

use crate::shots::Content;
use row::Row;
pub(super) use row::{Stamp, Trouble};

/// Kinds of clinic system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sql,
    Fhir,
}

/// The clinic's rows by id, and where they are kept.
pub(super) struct Site {
    clock: SystemClock,
    schema: String,
    fhir: Option<FhirServer>,
    rows: BTreeMap<u32, Row>,
    saved: BTreeMap<u32, Row>,
    next_id: u32,
    /// True while the gateway's configuration knows the clinic's words.
    mapped: bool,
    /// True for a feed that is broken: vaccinations, tests.
    broken: [bool; 2],
    /// Rows that are there and that lists leave out.
    unlisted: BTreeSet<u32>,
}

impl Site {
    pub(super) async fn new(kind: Kind, postgres: &Postgres, schema: String) -> Self {
        let fhir = match kind {
            Kind::Sql => {
                sql::create(postgres, &schema).await;
                None
            }
            Kind::Fhir => {
                let server = FhirServer::start().await.expect("a FHIR server");
                server.reuse_searches();
                Some(server)
            }
        };
        Self {
            clock: SystemClock::default(),
            schema,
            fhir,
            rows: BTreeMap::new(),
            saved: BTreeMap::new(),
            next_id: 0,
            mapped: true,
            broken: [false; 2],
            unlisted: BTreeSet::new(),
        }
    }

    /// The `[source.mis]` section.
    pub(super) fn source(&self, postgres: &Postgres) -> String {
        match &self.fhir {
            Some(server) => fhir::source(server, self.mapped),
            None => sql::source(postgres, &self.schema, self.mapped),
        }
    }

    /// Says whether the gateway's configuration knows the clinic's words from now on.
    pub(super) fn map(&mut self, mapped: bool) {
        self.mapped = mapped;
    }

    /// The row that a number picks among those that are there.
    pub(super) fn pick(&self, number: u16) -> Option<u32> {
        let place = usize::from(number).checked_rem(self.rows.len())?;
        self.rows.keys().nth(place).copied()
    }

    /// Facts that must be in the registry once everything is whole.
    pub(super) fn content(&self) -> Content {
        let mut content = Content::new();
        for fact in self.rows.iter().filter_map(|(id, row)| row.fact(*id)) {
            *content.entry(fact).or_default() += 1;
        }
        content
    }

    pub(super) async fn insert(&mut self, postgres: &Postgres, count: u8) {
        let new: Vec<u32> = (self.next_id..).take(count.into()).collect();
        self.next_id += u32::from(count);
        let now = self.clock.now();
        for id in &new {
            self.rows.insert(*id, Row::new(*id, now));
        }
        self.write(postgres, &new).await;
    }

    /// Changes the row that a number picks.
    async fn change(
        &mut self,
        postgres: &Postgres,
        number: u16,
        stamp: Stamp,
        change: impl FnOnce(&mut Row),
    ) {
        let Some(id) = self.pick(number) else {
            return;
        };
        let now = self.clock.now();
        let row = self.rows.get_mut(&id).expect("a row that is there");
        change(row);
        row.touch(stamp, now);
        self.write(postgres, &[id]).await;
    }

    pub(super) async fn correct(&mut self, postgres: &Postgres, number: u16, stamp: Stamp) {
        self.change(postgres, number, stamp, |row| row.correct(number))
            .await;
    }

    pub(super) async fn toggle(&mut self, postgres: &Postgres, number: u16) {
        self.change(postgres, number, Stamp::Now, |row| row.holds = !row.holds)
            .await;
    }

    /// Gives the id of a row to another person's dose: the old dose must not stand, the new one
    /// must.
    pub(super) async fn reuse(&mut self, postgres: &Postgres, number: u16) {
        let other = 1_000_000 + u32::from(number);
        self.change(postgres, number, Stamp::Now, |row| {
            row.person = other;
            row.correct(2);
            row.holds = true;
        })
        .await;
    }

    pub(super) async fn trouble(&mut self, postgres: &Postgres, number: u16, trouble: Trouble) {
        self.change(postgres, number, Stamp::Now, |row| {
            row.trouble = Some(trouble);
        })
        .await;
    }

    pub(super) async fn delete(&mut self, postgres: &Postgres, id: u32) {
        self.rows.remove(&id);
        match &self.fhir {
            Some(server) => fhir::delete(server, id),
            None => sql::delete(postgres, &self.schema, id).await,
        }
    }

    /// Breaks one feed alone, or mends both.
    pub(super) async fn set_broken(&mut self, postgres: &Postgres, broken: [bool; 2]) {
        match &self.fhir {
            Some(server) => fhir::set_broken(server, broken),
            None => sql::set_broken(postgres, &self.schema, self.broken, broken).await,
        }
        self.broken = broken;
    }

    /// Has requests fail at a rate from now on, where they are requests: see
    /// [`fhir::set_failing`].
    pub(super) fn set_failing(&self, every: u8) {
        if let Some(server) = &self.fhir {
            fhir::set_failing(server, every);
        }
    }

    pub(super) fn save(&mut self) {
        self.saved = self.rows.clone();
    }

    /// Has lists leave out the row that a number picks, where they are answers of an index.
    pub(super) fn unlist(&mut self, number: u16) {
        if let Some(server) = &self.fhir {
            self.unlisted.extend(self.pick(number));
            fhir::unlist(server, &self.unlisted);
        }
    }

    /// Has lists name every row again.
    pub(super) fn list_all(&mut self) {
        if let Some(server) = &self.fhir {
            self.unlisted.clear();
            fhir::unlist(server, &self.unlisted);
        }
    }

    /// Rows that are there and that lists name.
    pub(super) fn listed_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows
            .keys()
            .copied()
            .filter(|id| !self.unlisted.contains(id))
    }

    /// Sets the rows that are still there back to what they said, stamps too, when they were
    /// saved.
    pub(super) async fn put_back(&mut self, postgres: &Postgres) {
        let mut changed = Vec::new();
        for (id, row) in &mut self.rows {
            if let Some(saved) = self.saved.get(id) {
                row.clone_from(saved);
                changed.push(*id);
            }
        }
        self.write(postgres, &changed).await;
    }

    async fn write(&self, postgres: &Postgres, ids: &[u32]) {
        let rows: Vec<(u32, &Row)> = ids.iter().map(|id| (*id, &self.rows[id])).collect();
        match &self.fhir {
            Some(server) => fhir::write(server, &rows, self.clock.now()),
            None => sql::write(postgres, &self.schema, &rows).await,
        }
    }
}
