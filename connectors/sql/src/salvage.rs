//! Rows among which some make the server fail: the readable ones, and the others by their keys
//! alone. Trying tells whether rows are the cause: the statement works without any row, and with
//! other rows.

use std::ops::Range;

use az::SaturatingAs;

use crate::driver::{Cause, Failure, LentSession};
use crate::layout::{CHANGED_AT, RECORD_ID};
use crate::page::{Order, Pager, Place, Rows, Start};
use crate::table::{Row, Table};
use crate::value::{Key, Sql, Value};

/// Most statements spent on one page; a page of 10 000 rows needs 15 to come to its first row.
const MAX_STATEMENTS: u32 = 64;
/// Most statements of one page that may run until their time is up.
const MAX_TIMEOUTS: u32 = 20;
/// Number of the first columns, `record_id` and `changed_at`.
const KEY_COLUMNS: usize = CHANGED_AT + 1;
/// Most rows of a page that are tried, to see whether any row can be read.
const MAX_WITNESSES: usize = 8;

/// Rows that could be read, and keys of those that could not.
pub(crate) struct Salvaged<R> {
    pub rows: R,
    /// Number of rows that stand by their keys alone.
    pub refused: usize,
}

/// Reads the page of `width` columns that failed with `failure`. Where the rows cannot be told
/// apart (their keys cannot be read either, or the query fails whichever rows are asked for) the
/// failure stands.
pub(crate) async fn page(
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    start: &Start,
    limit: u32,
    width: usize,
    failure: Failure,
) -> Result<Salvaged<Rows>, Failure> {
    let Some(found) = Keys::read(pager, lent, start, limit, width).await? else {
        return Err(failure);
    };
    let Keys { by, rows, is_whole } = found;
    if is_whole {
        return Ok(Salvaged { rows, refused: 0 });
    }
    let by = by.as_ref().unwrap_or(pager);
    // Of keys that are wanted alone no other column needs to be tried.
    let pager = if width == KEY_COLUMNS { by } else { pager };
    let keys = rows
        .rows
        .rows()
        .map(|row| by.place(row))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(last) = keys.last() else {
        return Err(failure);
    };
    let nothing = pager.between(&Start::After(last.clone()), last, width, 1);
    if unless_of_rows(lent.fetch(&nothing, &pager.layout.kinds[..width]).await)?.is_none() {
        return Err(failure);
    }
    let mut salvage = Salvage {
        by,
        // One more than there are, so that no row is left out unseen.
        limit: keys.len().saturating_add(1).saturating_as(),
        ..Salvage::new(pager, lent, Part::Page(start, &keys), width)
    };
    let settled = salvage.run(MAX_STATEMENTS).await?;
    let next = if settled == keys.len() {
        rows.next
    } else {
        Some(keys[settled - 1].clone())
    };
    let Salvaged { rows, refused } = salvage.salvaged;
    let rows = Rows { rows, next };
    Ok(Salvaged { rows, refused })
}

/// Reads the rows with these ids, all of them: a row that is left out counts as gone. An id that
/// the database cannot even take as a value is no row's.
pub(crate) async fn with_ids(
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    mut ids: Vec<Key>,
    limit: u32,
    failure: Failure,
) -> Result<Salvaged<Table>, Failure> {
    if lent.recover().await.is_err() {
        return Err(failure);
    }
    let kinds = &pager.layout.kinds;
    // A query that fails without any id says nothing about one.
    let no_id = pager.cells_page(&Start::Beginning, 0, 2, false);
    if unless_of_rows(lent.fetch(&no_id, &kinds[..2]).await)?.is_none() {
        return Err(failure);
    }
    for index in (0..ids.len()).rev() {
        let no_row = pager.with_ids(&ids[index..=index], 2, 0);
        match lent.fetch(&no_row, &kinds[..2]).await {
            Err(failure) if failure.cause() == Cause::Values => {
                lent.recover().await?;
                ids.remove(index);
            }
            rows => _ = rows?,
        }
    }
    let Some(first) = ids.first() else {
        return Ok(Salvaged {
            rows: Table::default(),
            refused: 0,
        });
    };
    if unless_of_rows(lent.fetch(&pager.nothing(first), kinds).await)?.is_none() {
        return Err(failure);
    }
    let alone = pager.of_keys_alone();
    let mut salvage = Salvage {
        by: alone.as_ref().unwrap_or(pager),
        limit,
        ..Salvage::new(pager, lent, Part::Ids(&ids), kinds.len())
    };
    salvage.run(u32::MAX).await?;
    Ok(salvage.salvaged)
}

/// The keys of a page of which rows cannot be read.
struct Keys<'s> {
    /// Statements that read the keys alone, where the query is plain enough for that.
    by: Option<Pager<'s>>,
    rows: Rows,
    /// True where these are all the columns that are wanted.
    is_whole: bool,
}

impl<'s> Keys<'s> {
    /// Reads them, without the query's other columns if that is possible. None where rows make this
    /// fail, too.
    async fn read(
        pager: &Pager<'s>,
        lent: &mut LentSession<'_>,
        start: &Start,
        limit: u32,
        width: usize,
    ) -> Result<Option<Self>, Failure> {
        if let Some(alone) = pager.of_keys_alone() {
            let both = (width == KEY_COLUMNS).then_some(KEY_COLUMNS);
            for columns in both.into_iter().chain([narrow(pager)]) {
                lent.recover().await?;
                let rows = alone.read_cells(lent, start, limit, columns).await;
                if let Some(rows) = unless_of_rows(rows)? {
                    return Ok(Some(Self {
                        by: Some(alone),
                        rows,
                        is_whole: columns == width,
                    }));
                }
            }
        }
        lent.recover().await?;
        let rows = pager.read_cells(lent, start, limit, narrow(pager)).await;
        Ok(unless_of_rows(rows)?.map(|rows| Self {
            by: None,
            rows,
            is_whole: false,
        }))
    }
}

/// Number of columns that tell the rows of an order apart.
fn narrow(pager: &Pager<'_>) -> usize {
    match pager.order {
        Order::Stamp => KEY_COLUMNS,
        Order::Id => RECORD_ID + 1,
    }
}

/// None where rows may have made the statement fail.
fn unless_of_rows<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.may_be_of_rows() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Rows that are halved.
enum Part<'a> {
    /// The rows after a start up to each of these keys; the page never ends within a set of equal
    /// ones.
    Page(&'a Start, &'a [Place]),
    /// The rows with these ids.
    Ids(&'a [Key]),
}

/// Result of a statement that rows may make fail.
enum Attempt {
    Rows(Table),
    Failed(Failure),
}

struct Salvage<'a, 's, 'l> {
    pager: &'a Pager<'s>,
    /// Statements that read keys.
    by: &'a Pager<'s>,
    lent: &'a mut LentSession<'l>,
    whole: Part<'a>,
    /// Number of columns that are wanted.
    width: usize,
    /// Most rows of one statement.
    limit: u32,
    salvaged: Salvaged<Table>,
    statements: u32,
    timeouts: u32,
    /// The key of a row that could be read.
    good: Option<usize>,
}

impl<'a, 's, 'l> Salvage<'a, 's, 'l> {
    fn new(
        pager: &'a Pager<'s>,
        lent: &'a mut LentSession<'l>,
        whole: Part<'a>,
        width: usize,
    ) -> Self {
        Self {
            pager,
            by: pager,
            lent,
            whole,
            width,
            limit: 0,
            salvaged: Salvaged {
                rows: Table::default(),
                refused: 0,
            },
            statements: 0,
            timeouts: 0,
            good: None,
        }
    }

    const fn keys(&self) -> usize {
        match &self.whole {
            Part::Page(_, keys) => keys.len(),
            Part::Ids(ids) => ids.len(),
        }
    }

    /// Halves what fails until one key is left. Returns how many keys are dealt with, from the
    /// first one on; at least one, and all of them where rows are asked for by their ids.
    async fn run(&mut self, most_statements: u32) -> Result<usize, Failure> {
        let mut settled = 0;
        let whole = 0..self.keys();
        let mut open = vec![whole];
        while let Some(part) = open
            .pop()
            .filter(|_| self.statements < most_statements || settled == 0)
        {
            let sql = self.part(&part);
            let standing = match self.attempt(&sql, self.width).await? {
                Attempt::Rows(rows) => {
                    self.ensure_no_more(&rows, &part)?;
                    self.good = (!rows.is_empty()).then_some(part.start).or(self.good);
                    self.salvaged.rows.append(&rows);
                    None
                }
                Attempt::Failed(failure) if self.timeouts > MAX_TIMEOUTS => Some(failure),
                Attempt::Failed(_) if part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    open.extend([middle..part.end, part.start..middle]);
                    continue;
                }
                Attempt::Failed(failure) => self.single(part.start, failure).await?,
            };
            match standing {
                None => settled = part.end,
                // The rows before it are handed over; the next page begins with it.
                Some(_) if settled > 0 && matches!(self.whole, Part::Page(..)) => break,
                Some(failure) => return Err(failure),
            }
        }
        Ok(settled)
    }

    /// Fails where the query gives more rows than keys. Rows that the database holds equal to the
    /// part's last one come with it, and not with the next part.
    fn ensure_no_more(&self, rows: &Table, part: &Range<usize>) -> Result<(), Failure> {
        let Part::Page(_, keys) = &self.whole else {
            return Ok(());
        };
        let is_own = |row: &Row<'_>| {
            let place = self.pager.place(*row);
            !place.is_ok_and(|place| keys[part.end..].contains(&place))
        };
        if rows.len() > part.len() && rows.rows().filter(is_own).count() > part.len() {
            let what = "the query gives more rows when it is read again";
            return Err(Failure::retry(what));
        }
        Ok(())
    }

    /// Deals with a row that cannot be read by itself. Returns the failure if the row is not its
    /// cause, or may not be.
    async fn single(&mut self, which: usize, failure: Failure) -> Result<Option<Failure>, Failure> {
        let is_of_values = failure.cause() == Cause::Values;
        if !is_of_values {
            if !self.another_is_readable(which).await? {
                return Ok(Some(failure));
            }
            // Once more, beside one that could just be read: something that passes is over now.
            let sql = self.one(which);
            if let Attempt::Rows(rows) = self.attempt(&sql, self.width).await? {
                self.salvaged.rows.append(&rows);
                return Ok(None);
            }
        }
        self.refuse(which, is_of_values).await?;
        Ok(None)
    }

    /// True if the server can read some other row as a whole: one of this page, or else the first
    /// or the last there is.
    async fn another_is_readable(&mut self, which: usize) -> Result<bool, Failure> {
        let step = self.keys().div_ceil(MAX_WITNESSES).max(1);
        let spread = (0..self.keys()).rev().step_by(step);
        let others: Vec<usize> = self.good.into_iter().chain(spread).collect();
        for other in others.into_iter().filter(|other| *other != which) {
            let sql = self.one(other);
            if self.is_readable(&sql).await? {
                return Ok(true);
            }
        }
        let narrow = narrow(self.pager);
        for descending in [false, true] {
            let sql = self.by.cells_page(&Start::Beginning, 1, narrow, descending);
            let Attempt::Rows(found) = self.attempt(&sql, narrow).await? else {
                continue;
            };
            let place = found.first().map(|row| self.pager.place(row)).transpose()?;
            if let Some(place) = place {
                let sql = self.pager.same(&place, self.width, 1);
                if self.is_readable(&sql).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn is_readable(&mut self, sql: &Sql) -> Result<bool, Failure> {
        if self.timeouts > MAX_TIMEOUTS {
            return Ok(false);
        }
        let tried = self.attempt(sql, self.width).await?;
        Ok(matches!(tried, Attempt::Rows(rows) if !rows.is_empty()))
    }

    async fn attempt(&mut self, sql: &Sql, width: usize) -> Result<Attempt, Failure> {
        self.statements = self.statements.saturating_add(1);
        match self
            .lent
            .fetch(sql, &self.pager.layout.kinds[..width])
            .await
        {
            Err(failure) if failure.may_be_of_rows() => {
                self.timeouts += u32::from(failure.cause() == Cause::Time);
                match self.lent.recover().await {
                    Ok(()) => Ok(Attempt::Failed(failure)),
                    Err(_) => Err(failure),
                }
            }
            rows => rows.map(Attempt::Rows),
        }
    }

    /// The rows of some keys.
    fn part(&self, part: &Range<usize>) -> Sql {
        match &self.whole {
            Part::Page(start, keys) => {
                let after = part
                    .start
                    .checked_sub(1)
                    .map(|before| Start::After(keys[before].clone()));
                let start = after.as_ref().unwrap_or(start);
                self.pager
                    .between(start, &keys[part.end - 1], self.width, self.limit)
            }
            Part::Ids(ids) => self
                .pager
                .with_ids(&ids[part.clone()], self.width, self.limit),
        }
    }

    /// The row with this key, and those the database holds equal to it.
    fn one(&self, which: usize) -> Sql {
        self.one_of(self.pager, which, self.width)
    }

    /// The first columns of the same rows.
    fn one_of(&self, pager: &Pager<'_>, which: usize, width: usize) -> Sql {
        match &self.whole {
            Part::Page(_, keys) => pager.same(&keys[which], width, self.limit),
            Part::Ids(ids) => pager.with_ids(&ids[which..=which], width, self.limit),
        }
    }

    /// Hands over by their keys alone the row, and those the database holds equal to it: "after it"
    /// passes over them. A stamp that cannot be read either is left out. So is that of a row whose
    /// values may not be the cause: it is read again by the overlap and by every sweep.
    async fn refuse(&mut self, which: usize, is_of_values: bool) -> Result<(), Failure> {
        let keys = if is_of_values {
            KEY_COLUMNS
        } else {
            RECORD_ID + 1
        };
        let most = self.width.saturating_sub(1).min(keys);
        for width in (RECORD_ID + 1..=most).rev() {
            let sql = self.one_of(self.by, which, width);
            match self.attempt(&sql, width).await? {
                Attempt::Rows(rows) => {
                    self.add_keys(&rows);
                    return Ok(());
                }
                Attempt::Failed(failure) if width == RECORD_ID + 1 => return Err(failure),
                Attempt::Failed(_) => {}
            }
        }
        Ok(())
    }

    /// Adds rows of keys alone. Several ids that are asked for may stand for one row.
    fn add_keys(&mut self, keys: &Table) {
        let kind = self.pager.layout.kinds[CHANGED_AT];
        let is_known = |id: &Row<'_>, rows: &Table| rows.rows().any(|row| row.begins_as(*id));
        for row in keys.rows() {
            if matches!(self.whole, Part::Ids(_)) && is_known(&row, &self.salvaged.rows) {
                continue;
            }
            row.cells()
                .for_each(|cell| self.salvaged.rows.push(cell.kind, cell.value));
            if row.width() < KEY_COLUMNS {
                self.salvaged.rows.push(kind, Value::Null);
            }
            self.salvaged.rows.end_row();
            self.salvaged.refused += 1;
        }
    }
}
