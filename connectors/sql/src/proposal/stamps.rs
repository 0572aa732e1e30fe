//! The stamps of a table that change queries are made of, and how much each tells.

use super::columns::best_column;
use super::words;
use crate::catalog::{Shape, Table};
use crate::statement::Syntax;

/// Ranks of change queries, the ones first that tell most: of rows beside that come and go, and of
/// tables that facts refer to; rows of persons that others were merged into come last.
const OF_ROWS: usize = 1;
const OF_PARENTS: usize = 3;
pub(super) const OF_SURVIVORS: usize = 7;

/// Rank of the stamps of lists: what is read of persons comes first.
pub(super) const LISTS: usize = 6;

/// Stamps of a table.
pub(super) struct Stamps {
    /// Column that moves with every change, if there is one.
    pub(super) changed: Option<String>,
    /// True where a row that never changed may have none.
    pub(super) may_be_empty: bool,
    pub(super) created: Option<String>,
    pub(super) deleted: Option<String>,
}

impl Stamps {
    pub(super) fn of(table: &Table, syntax: Syntax) -> Self {
        let is_moment = |shape: Shape| {
            shape.is_time()
                || (syntax.keeps_stamps_as_text() && matches!(shape, Shape::Text | Shape::Whole))
        };
        let name = |words| best_column(table, words, is_moment).map(|(_, column)| column);
        let changed = name(&words::CHANGED);
        Self {
            may_be_empty: changed.is_some_and(|column| column.is_nullable),
            changed: changed.map(|column| column.name.clone()),
            created: name(&words::CREATED).map(|column| column.name.clone()),
            deleted: name(&words::DELETED_AT).map(|column| column.name.clone()),
        }
    }

    /// Columns that together move with every change.
    pub(super) fn columns(&self) -> Vec<&str> {
        let Some(changed) = &self.changed else {
            // Rows that are replaced and not changed have two moments.
            let both = self.created.as_deref().zip(self.deleted.as_deref());
            return both.map_or_else(Vec::new, |(created, deleted)| vec![created, deleted]);
        };
        let others = [&self.created, &self.deleted];
        let others = others.into_iter().flatten().filter(|_| self.may_be_empty);
        let mut all = vec![changed.as_str()];
        all.extend(others.map(String::as_str).filter(|other| other != changed));
        all
    }

    /// The same columns of a joined table, which stands before its facts: it is entered before
    /// them.
    pub(super) fn of_parent(&self) -> impl Iterator<Item = Stamp<'_>> {
        self.ranked(|column| match column {
            _ if Some(column) == self.changed.as_deref() => OF_PARENTS,
            _ if Some(column) == self.deleted.as_deref() => OF_PARENTS + 1,
            _ => OF_PARENTS + 2,
        })
    }

    /// The same columns of a table whose rows come and go beside a person or fact.
    pub(super) fn of_rows(&self) -> impl Iterator<Item = Stamp<'_>> {
        let is_alone = self.columns().len() == 1;
        self.ranked(move |column| match column {
            _ if is_alone || Some(column) != self.changed.as_deref() => OF_ROWS,
            _ => OF_ROWS + 1,
        })
    }

    pub(super) fn ranked(&self, rank: impl Fn(&str) -> usize) -> impl Iterator<Item = Stamp<'_>> {
        let columns = self.columns().into_iter();
        columns.map(move |column| Stamp {
            column,
            rank: rank(column),
        })
    }
}

/// Stamp of a table that a change query is made of.
#[derive(Clone, Copy)]
pub(super) struct Stamp<'s> {
    pub(super) column: &'s str,
    /// 0 for the fact's own table, then the greater the less it tells.
    pub(super) rank: usize,
}
