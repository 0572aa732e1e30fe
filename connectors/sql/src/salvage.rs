//! A page in which a value makes the server fail: the readable rows, and the others by their keys alone.

use crate::driver::{Failure, Lease};
use crate::page::{Pager, Rows, Start, keys};
use crate::value::{Cell, Key};

/// Most statements spent on one page; a page of 10 000 rows needs 15 to come to its first row.
const MAX_STATEMENTS: u32 = 64;

/// Reads the page that failed with `failure`. Where the rows cannot be told apart (their keys cannot be read either, or
/// the query fails whichever rows are asked for) the failure stands.
pub(crate) async fn read(
    pager: &Pager<'_>,
    lease: &mut Lease<'_>,
    start: Start,
    limit: u32,
    failure: Failure,
) -> Result<Rows, Failure> {
    lease.recover().await?;
    let Some(found) = of_data(pager.read_keys(lease, &start, limit).await)? else { return Err(failure) };
    let keys = found.rows.iter().map(|row| keys(row)).collect::<Result<Vec<_>, _>>()?;
    let Some((at, id)) = keys.last() else { return Err(failure) };
    let nothing = pager.between(&Start::After(at.clone(), id.clone()), (at, id), 1);
    if of_data(lease.fetch(&nothing, &pager.layout.kinds).await)?.is_none() {
        return Err(failure);
    }
    let mut salvage = Salvage { pager, lease, start, keys, rows: Vec::new() };
    let settled = salvage.run().await?;
    let next =
        if settled == salvage.keys.len() { found.next } else { Some(salvage.keys[settled - 1].clone()) };
    Ok(Rows { rows: salvage.rows, next })
}

/// None where a value made the statement fail.
fn of_data<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_of_data() => Ok(None),
        Err(failure) => Err(failure),
    }
}

struct Salvage<'a, 's, 'l> {
    pager: &'a Pager<'s>,
    lease: &'a mut Lease<'l>,
    start: Start,
    /// Of all rows of the page; the page never ends within a set of equal ones.
    keys: Vec<(Key, Key)>,
    rows: Vec<Vec<Cell>>,
}

impl Salvage<'_, '_, '_> {
    /// Halves what fails until one row is left. Returns how many keys are dealt with, from the first one on; at least one.
    async fn run(&mut self) -> Result<usize, Failure> {
        let (mut settled, mut statements) = (0, 0);
        let whole = 0..self.keys.len();
        let mut open = vec![whole];
        while let Some(part) = open.pop().filter(|_| statements < MAX_STATEMENTS || settled == 0) {
            statements += 1;
            if let Some(rows) = self.part(part.clone()).await? {
                self.rows.extend(rows);
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

    /// The rows from one key on to another, or None if a value makes the server fail.
    async fn part(&mut self, part: std::ops::Range<usize>) -> Result<Option<Vec<Vec<Cell>>>, Failure> {
        let after = part.start.checked_sub(1).map(|before| {
            let (at, id) = self.keys[before].clone();
            Start::After(at, id)
        });
        let (at, id) = &self.keys[part.end - 1];
        let sql = self.pager.between(after.as_ref().unwrap_or(&self.start), (at, id), self.limit());
        let rows = of_data(self.lease.fetch(&sql, &self.pager.layout.kinds).await)?;
        if rows.is_none() {
            self.lease.recover().await?;
        }
        Ok(rows)
    }

    /// Hands over by their keys alone the row, and those the database holds equal to it: "after it" passes over them.
    async fn refuse(&mut self, which: usize) -> Result<(), Failure> {
        let (at, id) = &self.keys[which];
        let same = self.pager.same(at, id, self.limit());
        self.rows.extend(self.lease.fetch(&same, &self.pager.layout.kinds[..2]).await?);
        Ok(())
    }

    fn limit(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }
}
