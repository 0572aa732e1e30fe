//! The bare loop over pages by key, the same at every database: the least that reading costs.

use std::hint::black_box;

use chrono::NaiveDate;
use sqlx::{ColumnIndex, Database, Decode, Row, Type};

use crate::clinics::{TESTS, VACCINATIONS};

/// Records in a page of the bare loop.
pub(crate) const PAGE_RECORDS: u32 = 5000;

/// A query of the gateway's configuration, and where the columns of its rows stand behind the
/// common ones.
pub(crate) struct FeedQuery {
    query: &'static str,
    words: &'static [usize],
    numbers: &'static [usize],
    day: usize,
}

/// Queries of both feeds.
pub(crate) const FEEDS: [FeedQuery; 2] = [
    FeedQuery {
        query: VACCINATIONS,
        words: &[6, 10],
        numbers: &[7, 8],
        day: 9,
    },
    FeedQuery {
        query: TESTS,
        words: &[6, 7, 9],
        numbers: &[],
        day: 8,
    },
];

impl FeedQuery {
    /// Query for a page, with a condition on where it begins.
    pub(crate) fn page(&self, condition: &str) -> String {
        format!(
            "SELECT * FROM ({}) AS q {condition} \
             ORDER BY q.changed_at, q.record_id LIMIT {PAGE_RECORDS}",
            self.query
        )
    }
}

/// Value of a database that a row can be decoded to.
pub(crate) trait Decoded<'r, D: Database>: Decode<'r, D> + Type<D> {}

impl<'r, D: Database, T: Decode<'r, D> + Type<D>> Decoded<'r, D> for T {}

/// A row as a program that does something with it would hold it; `S` is its stamp's type.
pub(crate) struct OwnedRow<S> {
    id: i64,
    changed_at: S,
    _identifiers: [Option<String>; 4],
    _words: [String; 3],
    _numbers: [i16; 2],
    _day: NaiveDate,
}

impl<S> OwnedRow<S> {
    /// Decodes every column.
    pub(crate) fn decode<'r, R>(row: &'r R, feed: &FeedQuery) -> Result<Self, sqlx::Error>
    where
        R: Row,
        usize: ColumnIndex<R>,
        S: Decoded<'r, R::Database>,
        i64: Decoded<'r, R::Database>,
        i16: Decoded<'r, R::Database>,
        NaiveDate: Decoded<'r, R::Database>,
        String: Decoded<'r, R::Database>,
        Option<String>: Decoded<'r, R::Database>,
    {
        let mut identifiers: [Option<String>; 4] = Default::default();
        for (index, identifier) in identifiers.iter_mut().enumerate() {
            *identifier = row.try_get(2 + index)?;
        }
        let mut words: [String; 3] = Default::default();
        for (word, column) in words.iter_mut().zip(feed.words) {
            *word = row.try_get(*column)?;
        }
        let mut numbers = [0; 2];
        for (number, column) in numbers.iter_mut().zip(feed.numbers) {
            *number = row.try_get(*column)?;
        }
        Ok(Self {
            id: row.try_get(0)?,
            changed_at: row.try_get(1)?,
            _identifiers: identifiers,
            _words: words,
            _numbers: numbers,
            _day: row.try_get(feed.day)?,
        })
    }
}

/// Key of the last row of a page: its stamp and id.
pub(crate) type LastKey<S> = (S, i64);

/// Reads page after page until one is empty; number of rows. `read_page` reads the page behind the
/// given key, or the first.
pub(crate) async fn count_rows<S: Copy>(
    mut read_page: impl AsyncFnMut(Option<LastKey<S>>) -> Result<Vec<OwnedRow<S>>, sqlx::Error>,
) -> Result<u64, sqlx::Error> {
    let mut count = 0;
    let mut last = None;
    loop {
        let page = read_page(last).await?;
        let Some(row) = page.last() else {
            return Ok(count);
        };
        last = Some((row.changed_at, row.id));
        count += page.len() as u64;
        black_box(page);
    }
}
