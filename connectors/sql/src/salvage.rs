//! Rows among which a value makes the server fail: the readable ones, and the others by their keys
//! alone.

use std::ops::Range;

use az::SaturatingAs;

use crate::driver::{Failure, Lease};
use crate::page::{Pager, Place, Rows, Start};
use crate::table::Table;
use crate::value::Key;

/// Most statements spent on one page; a page of 10 000 rows needs 15 to come to its first row.
const MAX_STATEMENTS: u32 = 64;

/// Reads the page that failed with `failure`. Where the rows cannot be told apart (their keys
/// cannot be read either, or the query fails whichever rows are asked for) the failure stands.
pub(crate) async fn page(
    pager: &Pager<'_>,
    lease: &mut Lease<'_>,
    start: &Start,
    limit: u32,
    failure: Failure,
) -> Result<Rows, Failure> {
    lease.recover().await?;
    let Some(found) = of_data(pager.read_keys(lease, start, limit).await)? else {
        return Err(failure);
    };
    let keys = found
        .rows
        .rows()
        .map(|row| pager.place(row))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(last) = keys.last() else {
        return Err(failure);
    };
    let nothing = pager.between(&Start::After(last.clone()), last, 1);
    if of_data(lease.fetch(&nothing, &pager.layout.kinds).await)?.is_none() {
        return Err(failure);
    }
    let limit = keys.len().saturating_as();
    let mut salvage = Salvage {
        pager,
        lease,
        whole: Part::Page(start, &keys),
        limit,
        rows: Table::default(),
    };
    let settled = salvage.run(keys.len(), MAX_STATEMENTS).await?;
    let rows = salvage.rows;
    let next = if settled == keys.len() {
        found.next
    } else {
        Some(keys[settled - 1].clone())
    };
    Ok(Rows { rows, next })
}

/// Reads the rows with these ids, all of them: a row that is left out counts as gone. An id that
/// the database cannot even take as a value is no row's.
pub(crate) async fn with_ids(
    pager: &Pager<'_>,
    lease: &mut Lease<'_>,
    mut ids: Vec<Key>,
    limit: u32,
    failure: Failure,
) -> Result<Table, Failure> {
    lease.recover().await?;
    for index in (0..ids.len()).rev() {
        let no_row = pager.with_ids(&ids[index..=index], 2, 0);
        if of_data(lease.fetch(&no_row, &pager.layout.kinds[..2]).await)?.is_none() {
            lease.recover().await?;
            ids.remove(index);
        }
    }
    let Some(first) = ids.first() else {
        return Ok(Table::default());
    };
    if of_data(
        lease
            .fetch(&pager.nothing(first), &pager.layout.kinds)
            .await,
    )?
    .is_none()
    {
        return Err(failure);
    }
    let mut salvage = Salvage {
        pager,
        lease,
        whole: Part::Ids(&ids),
        limit,
        rows: Table::default(),
    };
    salvage.run(ids.len(), u32::MAX).await?;
    Ok(salvage.rows)
}

/// None where a value made the statement fail.
fn of_data<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_of_data() => Ok(None),
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

struct Salvage<'a, 's, 'l> {
    pager: &'a Pager<'s>,
    lease: &'a mut Lease<'l>,
    whole: Part<'a>,
    /// Most rows of one statement.
    limit: u32,
    rows: Table,
}

impl Salvage<'_, '_, '_> {
    /// Halves what fails until one key is left. Returns how many keys are dealt with, from the
    /// first one on; at least one.
    async fn run(&mut self, keys: usize, most_statements: u32) -> Result<usize, Failure> {
        let mut settled = 0;
        let mut statements = 0;
        let whole = 0..keys;
        let mut open = vec![whole];
        while let Some(part) = open
            .pop()
            .filter(|_| statements < most_statements || settled == 0)
        {
            statements += 1;
            if let Some(rows) = self.part(&part).await? {
                self.rows.append(&rows);
            } else if part.len() > 1 {
                let middle = part.start + part.len() / 2;
                open.extend([middle..part.end, part.start..middle]);
                continue;
            } else {
                statements += 1;
                self.refuse(part.start).await?;
            }
            settled = part.end;
        }
        Ok(settled)
    }

    /// The rows of some keys, or None if a value makes the server fail.
    async fn part(&mut self, part: &Range<usize>) -> Result<Option<Table>, Failure> {
        let width = self.pager.layout.kinds.len();
        let sql = match &self.whole {
            Part::Page(start, keys) => {
                let after = part
                    .start
                    .checked_sub(1)
                    .map(|before| Start::After(keys[before].clone()));
                self.pager.between(
                    after.as_ref().unwrap_or(start),
                    &keys[part.end - 1],
                    self.limit,
                )
            }
            Part::Ids(ids) => self.pager.with_ids(&ids[part.clone()], width, self.limit),
        };
        let rows = of_data(self.lease.fetch(&sql, &self.pager.layout.kinds).await)?;
        if rows.is_none() {
            self.lease.recover().await?;
        }
        Ok(rows)
    }

    /// Hands over by their keys alone the row, and those the database holds equal to it: "after it"
    /// passes over them.
    async fn refuse(&mut self, which: usize) -> Result<(), Failure> {
        let same = match &self.whole {
            Part::Page(_, keys) => self.pager.same(&keys[which], self.limit),
            Part::Ids(ids) => self.pager.with_ids(&ids[which..=which], 2, self.limit),
        };
        let keys = self
            .lease
            .fetch(&same, &self.pager.layout.kinds[..2])
            .await?;
        self.rows.append(&keys);
        Ok(())
    }
}
