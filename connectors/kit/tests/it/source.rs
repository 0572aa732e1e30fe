//! A source in memory that can misbehave in every way, and the suite's hands on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use connector_kit::Connector;
use connector_kit::conformance::{
    FAMILY_NAME, Hostility, QUOTED_WORD, Row, SNILS, Subject, VACCINE_CODE,
};

use crate::connector::{MemoryConnector, Mistake};

/// A row as the source gives it.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub id: String,
    /// Microseconds since 1970.
    pub stamp: i64,
    pub code: String,
    pub snils: &'static str,
    pub name: &'static str,
    pub readable: bool,
}

/// Answer of the source.
#[derive(Debug)]
pub(crate) struct Answer {
    pub rows: Vec<Given>,
    /// False where the answer broke off.
    pub whole: bool,
}

/// Failure of the source.
#[derive(Debug)]
pub(crate) enum Fault {
    Away,
    Refused,
    /// With a message of the source's own.
    Internal(String),
}

/// Orders of a listing; each has its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Stamp,
    Id,
}

/// A place in a listing: stamp (0 in the order of ids) and id.
pub(crate) type Place = (i64, String);

/// Rows and settings of the source.
#[derive(Debug, Default)]
pub(crate) struct State {
    rows: BTreeMap<String, Row>,
    hostility: Option<Hostility>,
    pub misconfigured: bool,
    pub writes: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Source(Arc<Mutex<State>>);

impl Given {
    pub(crate) fn place(&self, order: Order) -> Place {
        let stamp = if order == Order::Stamp { self.stamp } else { 0 };
        (stamp, self.id.clone())
    }
}

impl Source {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn has(&self, hostility: Hostility) -> bool {
        self.state().hostility == Some(hostility)
    }

    /// Fails or hangs as every request does under some hostilities.
    pub(crate) async fn accept(&self) -> Result<(), Fault> {
        let hostility = self.state().hostility;
        match hostility {
            Some(Hostility::Away) => Err(Fault::Away),
            Some(Hostility::Refused) => Err(Fault::Refused),
            Some(Hostility::QuotesValues) => {
                Err(Fault::Internal(format!("{QUOTED_WORD}: bad value {SNILS}")))
            }
            Some(Hostility::Silent | Hostility::Dripping) => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn sorted(&self, order: Order) -> Vec<Given> {
        let state = self.state();
        let huge = state.hostility == Some(Hostility::Huge);
        let given = |row: &Row| Given {
            id: row.name.clone(),
            stamp: row.stamp.timestamp_micros(),
            code: if huge && row.name.ends_with('2') {
                "x".repeat(1 << 20)
            } else {
                VACCINE_CODE.to_owned()
            },
            snils: SNILS,
            name: FAMILY_NAME,
            readable: !row.unreadable,
        };
        let mut rows: Vec<Given> = state.rows.values().map(given).collect();
        rows.sort_by_key(|row| row.place(order));
        rows
    }

    /// The first `limit` rows after a place.
    pub(crate) async fn list(
        &self,
        order: Order,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Answer, Fault> {
        self.accept().await?;
        let rows = self.sorted(order);
        let hostility = self.state().hostility;
        let later = |row: &&Given| after.is_none_or(|after| row.place(order) > *after);
        let mut page: Vec<Given> = rows.iter().filter(later).take(limit).cloned().collect();
        match (hostility, after) {
            (Some(Hostility::IgnoresPageSize), _) => {
                page = rows.iter().filter(later).cloned().collect();
            }
            (Some(Hostility::SamePageAgain), _) => {
                page = rows.into_iter().take(limit).collect();
            }
            (Some(Hostility::PagesInCycle), _) if page.len() < limit => {
                let missing = limit - page.len();
                page.extend(rows.into_iter().take(missing));
            }
            (Some(Hostility::PagesWithoutEnd), _) if page.len() < limit => {
                let last = page.last().or(rows.last()).cloned().unwrap();
                let (stamp, id) = after.unwrap_or(&(0, String::new())).clone();
                let invented = |number: usize| Given {
                    id: format!("z{}-{number}", id.clone().max(last.id.clone())),
                    stamp: stamp.max(last.stamp),
                    ..last.clone()
                };
                page.extend((page.len()..limit).map(invented));
            }
            (Some(Hostility::Truncated), _) => {
                page.pop();
                return Ok(Answer {
                    rows: page,
                    whole: false,
                });
            }
            _ => {}
        }
        Ok(Answer {
            rows: page,
            whole: true,
        })
    }

    /// The rows with these ids.
    pub(crate) async fn with_ids(&self, ids: &[String]) -> Result<Answer, Fault> {
        self.accept().await?;
        let mut rows = self.sorted(Order::Id);
        rows.retain(|row| ids.contains(&row.id));
        let whole = !self.has(Hostility::Truncated);
        if !whole {
            rows.pop();
        }
        Ok(Answer { rows, whole })
    }

    /// The newest stamp up to a moment.
    pub(crate) fn newest(&self, until: i64) -> Option<i64> {
        let rows = self.sorted(Order::Stamp);
        let stamps = rows.iter().map(|row| row.stamp);
        stamps.filter(|stamp| *stamp <= until).max()
    }

    /// The number of rows behind a place, for a connector that looks ahead.
    pub(crate) fn count_after(&self, order: Order, place: &Place) -> usize {
        let rows = self.sorted(order);
        rows.iter().filter(|row| row.place(order) > *place).count()
    }
}

/// The source, read by a connector with at most one mistake.
pub(crate) struct Memory {
    source: Source,
    mistake: Option<Mistake>,
}

impl Memory {
    pub(crate) fn new(mistake: Option<Mistake>) -> Self {
        Self {
            source: Source::default(),
            mistake,
        }
    }
}

#[async_trait(?Send)]
impl Subject for Memory {
    async fn reset(&mut self) {
        *self.source.state() = State::default();
    }

    async fn connector(&self) -> Box<dyn Connector> {
        Box::new(MemoryConnector::new(self.source.clone(), self.mistake))
    }

    async fn put(&mut self, rows: &[Row]) {
        let rows = rows.iter().map(|row| (row.name.clone(), row.clone()));
        self.source.state().rows.extend(rows);
    }

    async fn delete(&mut self, names: &[String]) {
        self.source
            .state()
            .rows
            .retain(|name, _| !names.contains(name));
    }

    async fn contents(&mut self) -> String {
        let state = self.source.state();
        format!("{} writes, {:?}", state.writes, state.rows)
    }

    async fn begin(&mut self, hostility: Hostility) {
        self.source.state().hostility = Some(hostility);
    }

    async fn end(&mut self) {
        self.source.state().hostility = None;
    }

    async fn misconfigure(&mut self) -> [String; 2] {
        self.source.state().misconfigured = true;
        ["vaccine_kode".to_owned(), "occured_on".to_owned()]
    }

    fn cannot(&self, _: Hostility) -> Option<&'static str> {
        None
    }

    fn overlap(&self) -> TimeDelta {
        TimeDelta::minutes(5)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }
}
