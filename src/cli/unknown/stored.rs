//! Values of dead letters, read from the outbox and opened with the clinic's keys.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{OutboxError, OutboxReader};
use program::terminal::counted;
use pseudonym::{KeyRing, Policy, Pseudonymiser, UnknownValue, ValueTable};

use super::{Shown, Values};
use crate::config::LoadedConfig;

/// Values that rows are refused for, as the outbox has them.
#[derive(Debug, Default)]
pub(in crate::cli) struct Stored {
    values: Vec<StoredValue>,
    /// True if the keys were at hand, so that what may be shown can be.
    pub(in crate::cli) has_keys: bool,
}

/// A value that rows are refused for.
#[derive(Debug)]
struct StoredValue {
    /// Number of the value, to which dead letters refer.
    id: i64,
    source: String,
    feed: String,
    table: ValueTable,
    rows: u64,
    /// The value, where it may be shown and the keys are at hand.
    value: Option<UnknownValue>,
}

impl Stored {
    /// Reads the values of a source, or of all; without the key ring none can be shown.
    pub(in crate::cli) async fn read(
        reader: &OutboxReader,
        ring: Option<&KeyRing>,
        source: Option<&str>,
    ) -> Result<Self, OutboxError> {
        let secrets = ring.map(KeyRing::record_secrets);
        let rows = reader.unknown_values(source).await?;
        let values = rows.into_iter().filter_map(|row| {
            // A table that this version does not know can be of a later one only.
            let table = ValueTable::of(&row.table)?;
            let text = secrets
                .as_ref()
                .and_then(|secrets| row.open(secrets.values()));
            Some(StoredValue {
                id: row.id,
                value: text.and_then(|text| UnknownValue::from_text(table, &text)),
                source: row.source,
                feed: row.feed,
                table,
                rows: row.refused,
            })
        });
        Ok(Self {
            values: values.collect(),
            has_keys: ring.is_some(),
        })
    }

    /// Takes out the values of a source for which this holds; returns their numbers.
    fn take_out(&mut self, source: &str, is_known: impl Fn(&UnknownValue) -> bool) -> TakenOut {
        let mut taken = TakenOut::default();
        self.values.retain(|stored| {
            let known = stored.source == source && stored.value.as_ref().is_some_and(&is_known);
            if known {
                taken.values += 1;
                taken.rows += stored.rows;
            }
            !known
        });
        taken
    }

    /// Takes out the values that the configuration maps by now, though rows are still refused for
    /// them; returns their numbers by source.
    pub(in crate::cli) fn take_known_out(
        &mut self,
        loaded: &LoadedConfig,
        ring: Option<&KeyRing>,
    ) -> BTreeMap<String, TakenOut> {
        let Some(ring) = ring else {
            return BTreeMap::new();
        };
        let names: BTreeSet<String> = self.values.iter().map(|it| it.source.clone()).collect();
        let mut known = BTreeMap::new();
        for name in names {
            if let Some(pseudonymiser) = pseudonymiser(loaded, ring, &name) {
                let taken = self.take_out(&name, |value| pseudonymiser.is_known(value));
                known.insert(name, taken);
            }
        }
        known.retain(|_, taken| taken.values > 0);
        known
    }

    /// Number of rows that are refused for a value.
    pub(in crate::cli) fn rows(&self) -> u64 {
        self.values.iter().map(|stored| stored.rows).sum()
    }

    /// Numbers of rows that are refused for a value of this table, by feed.
    pub(in crate::cli) fn rows_by_feed(&self, table: ValueTable) -> BTreeMap<&str, u64> {
        let mut rows = BTreeMap::new();
        for stored in self.values.iter().filter(|stored| stored.table == table) {
            *rows.entry(stored.feed.as_str()).or_default() += stored.rows;
        }
        rows
    }

    /// Values by their numbers.
    pub(in crate::cli) fn by_id(&self) -> BTreeMap<i64, &UnknownValue> {
        let values = self.values.iter();
        values
            .filter_map(|stored| Some((stored.id, stored.value.as_ref()?)))
            .collect()
    }

    /// Values by their source, as far as they may be shown.
    pub(in crate::cli) fn by_source(&self) -> BTreeMap<&str, Values> {
        let mut sources: BTreeMap<&str, Values> = BTreeMap::new();
        for stored in &self.values {
            let values = sources.entry(&stored.source).or_default();
            match &stored.value {
                Some(value) => values.add_shown(Shown {
                    feed: stored.feed.clone(),
                    value: value.clone(),
                    rows: stored.rows,
                }),
                None => values.add_hidden(&stored.feed, stored.table, stored.rows),
            }
        }
        sources.values_mut().for_each(Values::sort);
        sources
    }

    /// Keeps the values of this feed.
    pub(in crate::cli) fn retain_feed(&mut self, feed: &str) {
        self.values.retain(|stored| stored.feed == feed);
    }
}

/// Pseudonymiser of a source as it is configured; `None` where it is not, or cannot be used.
fn pseudonymiser(loaded: &LoadedConfig, ring: &KeyRing, source: &str) -> Option<Pseudonymiser> {
    let config = loaded.config.source.get(source)?;
    let policy = Policy::new(&config.policy).ok()?;
    Pseudonymiser::new(ring, loaded.config.keys.suites(), source, policy).ok()
}

/// Values that the configuration maps by now, though rows are still refused for them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct TakenOut {
    pub(in crate::cli) values: u64,
    pub(in crate::cli) rows: u64,
}

impl TakenOut {
    /// Says what becomes of the values, and what to do.
    pub(in crate::cli) fn text(self) -> String {
        format!(
            "{} known by the configuration as it is now, and {} still refused for {}: the next \
             run with this configuration reads the source again; restart a gateway that runs, or \
             run `clinic-gateway sync`",
            counted(self.values, "more value is", "more values are"),
            counted(self.rows, "row is", "rows are"),
            if self.values == 1 { "it" } else { "them" }
        )
    }
}
