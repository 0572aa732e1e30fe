//! The cursors' text forms: the keys of the last row seen, and the columns they were read with.

use std::collections::BTreeMap;

use connector_kit::{Cursor, SourceError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::closing::{OpenStamp, RunStart};
use crate::layout::Layout;
use crate::value::{Key, Kind};

/// Fault of a position that is longer than a cursor may be. No id makes it so long, only a stamp
/// that is text.
pub(crate) const TOO_LONG: &str = "a changed_at is text that is too long to remember";
/// Help for such a position.
pub(crate) const SHORTER: &str =
    "select a stamp: a timestamp, or in SQLite ISO text or whole seconds since 1970";

/// The documented columns a query had, and their kinds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Columns(BTreeMap<String, Kind>);

/// A place between two rows in the order (`changed_at`, `record_id`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Columns that the row was read with.
    pub columns: Columns,
    /// The row's `changed_at`.
    pub at: Key,
    /// The row's `record_id`. A stored cursor has it where a run was left in its midst and nothing
    /// can come behind the row any more; otherwise a run begins at a stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Key>,
    /// The newest `changed_at` there was when the run began: the run ends there, however fast the
    /// table grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Key>,
    /// Second by which the run that found `at` first had read its rows, in a stored cursor whose
    /// `at` is not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,
    /// Stamp up to which everything was read and nothing can come any more, in a stored cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Key>,
    /// The run's beginning, in a cursor within a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStart>,
}

/// A place within a first load, which reads the rows in the order of `record_id`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadPosition {
    /// Columns that the rows were read with.
    pub columns: Columns,
    pub load: Load,
}

/// How far a first load has come, and where runs begin once it is done.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// The last row's `record_id`; `None` at the very beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Key>,
    /// The newest stamp that was seen in the snapshot that the load began with, and was not of the
    /// future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Key>,
    /// The newest stamp of all that were seen, and were not of the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Key>,
    /// Second since 1970 up to which the source had everything as the load began; `None` where it
    /// does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<i64>,
    /// Positions in the change queries from before the load.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noted: BTreeMap<String, Position>,
}

/// State of a feed that was loaded, and whose changes only sweeps notice.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadedPosition {
    /// Columns that the rows were read with.
    pub columns: Columns,
    /// True; tells this cursor from others.
    pub loaded: bool,
}

/// Positions in the change queries of a feed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesPosition {
    /// Columns that rows of the feed's own query were read with.
    pub columns: Columns,
    /// Stored positions, by the names of the queries; a query that had no row yet has none.
    pub changes: BTreeMap<String, Position>,
    /// Place of the next page, in a cursor within a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ChangesRun>,
}

/// A place within a run over change queries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesRun {
    /// Name of the query that the run has come to.
    pub query: String,
    /// Place within this query; `None` where it is yet to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Position>,
}

/// A place between two rows in the order of `record_id` alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysPosition {
    /// The row's `record_id`.
    pub after: Key,
}

/// Change of the query's columns since a position was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    None,
    /// A column is no longer there.
    Gone(String),
    /// Some columns are of another type now, or new: rows may mean something else.
    Changed(Vec<String>),
}

impl Position {
    pub(crate) fn new(layout: &Layout, at: Key) -> Self {
        Self {
            columns: Columns::of(layout),
            at,
            id: None,
            until: None,
            seen: None,
            closed: None,
            run: None,
        }
    }
}

impl Position {
    /// Knowledge of a run that begins here, but for the time.
    pub(crate) fn begin(&self) -> RunStart {
        let open = |seen| OpenStamp {
            at: self.at.clone(),
            seen,
        };
        RunStart {
            before: self.seen.map(open),
            closed: self.closed.clone(),
            ..RunStart::default()
        }
    }

    /// True if nothing can come any more up to this place.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.as_ref() == Some(&self.at)
    }
}

impl ChangesPosition {
    /// Notes how far a change query was read. Only one place is as exact as a row, so that the
    /// text form is bounded; from the others a run begins at their stamps, and reads a little more.
    pub(crate) fn note(&mut self, name: String, position: Position) {
        if position.id.is_some() {
            let others = self.changes.iter_mut().filter(|(other, _)| **other != name);
            others.for_each(|(_, other)| other.id = None);
        }
        self.changes.insert(name, position);
    }
}

impl Columns {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self(
            layout
                .documented()
                .map(|(name, kind)| (name.to_owned(), kind))
                .collect(),
        )
    }

    /// Compares the columns of then and now.
    pub(crate) fn drift(&self, layout: &Layout) -> Drift {
        let now = Self::of(layout).0;
        if let Some(gone) = self.0.keys().find(|name| !now.contains_key(*name)) {
            return Drift::Gone(gone.clone());
        }
        let other = |(name, kind): &(String, Kind)| self.0.get(name) != Some(kind);
        let changed: Vec<String> = now
            .into_iter()
            .filter(other)
            .map(|(name, _)| name)
            .collect();
        if changed.is_empty() {
            Drift::None
        } else {
            Drift::Changed(changed)
        }
    }
}

/// Reads a cursor; None when it is none of these, as after an update of the gateway: reading then
/// starts over.
pub(crate) fn read<P: DeserializeOwned>(cursor: &Cursor) -> Option<P> {
    serde_json::from_str(cursor.as_str()).ok()
}

/// Writes a cursor.
pub(crate) fn write(position: &impl Serialize) -> Result<Cursor, SourceError> {
    serde_json::to_string(position)
        .ok()
        .and_then(Cursor::new)
        .ok_or_else(|| SourceError::misconfigured(TOO_LONG, SHORTER))
}

#[cfg(test)]
mod tests {
    use connector_kit::Feed;

    use super::*;
    use crate::driver::Described;
    use crate::layout::resolve_all;
    use crate::settings::{MAX_CHANGE_NAME, MAX_CHANGE_QUERIES};
    use crate::value::MAX_VALUE_LENGTH;

    fn layout(columns: &[(&str, Kind)]) -> Layout {
        let required = [
            ("record_id", Kind::Integer),
            ("vaccine_code", Kind::Text),
            ("occurred_on", Kind::Date),
        ];
        let described: Vec<_> = required
            .iter()
            .chain(columns)
            .map(|(name, kind)| Described {
                origin: None,
                name: (*name).into(),
                kind: *kind,
                type_name: String::new(),
            })
            .collect();
        resolve_all(Feed::Vaccinations, &described, false, true)
            .layout
            .unwrap()
    }

    const BEFORE: [(&str, Kind); 3] = [
        ("CHANGED_AT", Kind::TimestampTz),
        ("person_snils", Kind::Text),
        ("person_oms", Kind::Text),
    ];

    #[test]
    fn a_position_survives_its_text_form_whatever_bytes_it_holds() {
        for id in [&b"42"[..], "№ 7 \"а\"\\\n".as_bytes(), b"\xb9\x00\xff", b""] {
            let at = Key {
                kind: Kind::TimestampTz,
                value: b"2021-07-01 00:00:00.123456+00".to_vec(),
            };
            let after = Key {
                kind: Kind::Text,
                value: id.to_vec(),
            };
            let until = Some(at.clone());
            let position = Position {
                id: Some(after.clone()),
                until,
                ..Position::new(&layout(&BEFORE), at)
            };
            assert!(read::<Position>(&write(&position).unwrap()).as_ref() == Some(&position));
            let keys = KeysPosition { after };
            assert!(read::<KeysPosition>(&write(&keys).unwrap()).as_ref() == Some(&keys));
        }
    }

    /// A position with all its parts, as long as they can be.
    fn longest(layout: &Layout, id: &Key) -> Position {
        let at = Key {
            kind: Kind::TimestampTz,
            value: b"2021-07-01 00:00:00.123456+00".to_vec(),
        };
        let open = OpenStamp {
            at: at.clone(),
            seen: i64::MIN,
        };
        Position {
            id: Some(id.clone()),
            until: Some(at.clone()),
            seen: Some(i64::MIN),
            closed: Some(at.clone()),
            run: Some(RunStart {
                begun: Some(i64::MIN),
                zero: Some(i64::MIN),
                before: Some(open),
                closed: Some(at.clone()),
            }),
            ..Position::new(layout, at)
        }
    }

    #[test]
    fn no_id_makes_a_position_in_eight_change_queries_longer_than_a_cursor() {
        let kinds = [Kind::TimestampTz, Kind::FixedText, Kind::Integer];
        for feed in Feed::ALL {
            let columns = crate::columns::of(feed).map(|column| {
                let kind = kinds.into_iter().find(|kind| column.role.accepts(*kind));
                Described {
                    origin: None,
                    name: column.name.into(),
                    kind: kind.unwrap(),
                    type_name: String::new(),
                }
            });
            let columns: Vec<Described> = columns.collect();
            let own = resolve_all(feed, &columns, true, true).layout.unwrap();
            let keys = layout(&BEFORE[..2]);
            // A control character takes six bytes of JSON, the longest character four.
            for value in ["\u{1}", "𝟙", "№"].map(|char| char.repeat(MAX_VALUE_LENGTH)) {
                let id = Key {
                    kind: Kind::FixedText,
                    value: value.into_bytes(),
                };
                let mut position = ChangesPosition {
                    columns: Columns::of(&own),
                    changes: BTreeMap::new(),
                    run: Some(ChangesRun {
                        query: "𝟙".repeat(MAX_CHANGE_NAME),
                        place: Some(longest(&keys, &id)),
                    }),
                };
                for number in 0..MAX_CHANGE_QUERIES {
                    let name = format!("{number}{}", "𝟙".repeat(MAX_CHANGE_NAME - 1));
                    position.note(name, longest(&keys, &id));
                }
                let exact = position.changes.values().filter(|one| one.id.is_some());
                assert_eq!(exact.count(), 1);
                let cursor = write(&position).expect("a cursor long enough");
                assert!(read::<ChangesPosition>(&cursor).as_ref() == Some(&position));
            }
        }
    }

    #[test]
    fn a_cursor_of_another_kind_is_no_position() {
        let at = Key {
            kind: Kind::Date,
            value: b"2021-07-01".to_vec(),
        };
        let page = write(&Position::new(&layout(&BEFORE), at.clone())).unwrap();
        assert!(read::<KeysPosition>(&page).is_none());
        assert!(read::<Position>(&write(&KeysPosition { after: at }).unwrap()).is_none());
        assert!(read::<Position>(&Cursor::new("2021-07-01T00:00:00Z").unwrap()).is_none());
    }

    #[test]
    fn a_column_that_is_gone_new_or_of_another_type_is_named() {
        let at = Key {
            kind: Kind::TimestampTz,
            value: b"2021-07-01 00:00:00".to_vec(),
        };
        let position = Position::new(&layout(&BEFORE), at);
        let drift = |columns: &[(&str, Kind)]| position.columns.drift(&layout(columns));
        assert_eq!(drift(&BEFORE), Drift::None);
        assert_eq!(drift(&BEFORE[..2]), Drift::Gone("person_oms".into()));
        let [at, snils, oms] = BEFORE;
        let retyped = ("person_oms", Kind::Integer);
        assert_eq!(
            drift(&[at, snils, retyped]),
            Drift::Changed(vec!["person_oms".into()])
        );
        let new = ("dose_number", Kind::Integer);
        assert_eq!(
            drift(&[at, snils, oms, new]),
            Drift::Changed(vec!["dose_number".into()])
        );
    }
}
