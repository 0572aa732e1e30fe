//! Values of dead letters, read from the outbox and opened with the clinic's keys.

use std::collections::BTreeMap;

use outbox::{OutboxError, OutboxReader};
use pseudonym::{KeyRing, UnknownValue, ValueTable};

use super::{Shown, Values};

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

    /// Those of the values that are to be told: the others are taken out, with the number of their
    /// rows.
    pub(in crate::cli) fn take_out(
        &mut self,
        is_known: impl Fn(&UnknownValue) -> bool,
    ) -> TakenOut {
        let mut taken = TakenOut::default();
        self.values.retain(|stored| {
            let known = stored.value.as_ref().is_some_and(&is_known);
            if known {
                taken.values += 1;
                taken.rows += stored.rows;
            }
            !known
        });
        taken
    }

    /// Number of rows that are refused for a value.
    pub(in crate::cli) fn rows(&self) -> u64 {
        self.values.iter().map(|stored| stored.rows).sum()
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

/// Values that the configuration maps by now, though rows are still refused for them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct TakenOut {
    pub(in crate::cli) values: u64,
    pub(in crate::cli) rows: u64,
}
