//! Rows in the binary format of PostgreSQL's COPY (manual, "COPY", "Binary Format").

use az::SaturatingAs;
use chrono::NaiveDate;

/// Beginning of every such stream: the signature, no flags, no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// End mark, in the place of a row's number of columns.
const END: i16 = -1;
/// Length of a NULL.
const NULL: i32 = -1;
/// Day from which PostgreSQL counts days.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("2000 has a first day");

/// Rows of one table, written column by column.
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
    columns: i16,
    rows: u64,
}

impl CopyRows {
    /// Makes an empty stream for `rows` rows of so many columns and about `row_bytes` each.
    pub(super) fn new(columns: i16, rows: usize, row_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER.len() + rows * row_bytes);
        bytes.extend_from_slice(HEADER);
        Self {
            bytes,
            columns,
            rows: 0,
        }
    }

    /// Begins the next row.
    pub(super) fn row(&mut self) -> &mut Self {
        self.rows += 1;
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        self
    }

    /// Appends a BYTEA or a TEXT.
    pub(super) fn bytes(&mut self, value: Option<impl AsRef<[u8]>>) -> &mut Self {
        match value {
            Some(value) => self.value(value.as_ref()),
            None => self.null(),
        }
    }

    /// Appends a SMALLINT.
    pub(super) fn small(&mut self, value: Option<i16>) -> &mut Self {
        match value {
            Some(value) => self.value(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// Appends an INTEGER.
    pub(super) fn integer(&mut self, value: i32) -> &mut Self {
        self.value(&value.to_be_bytes())
    }

    /// Appends a BIGINT.
    pub(super) fn big(&mut self, value: i64) -> &mut Self {
        self.value(&value.to_be_bytes())
    }

    /// Appends a BOOLEAN.
    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.value(&[u8::from(value)])
    }

    /// Appends a DATE.
    pub(super) fn date(&mut self, value: Option<NaiveDate>) -> &mut Self {
        let days = |date: NaiveDate| i32::try_from((date - FIRST_DAY).num_days()).ok();
        match value.and_then(days) {
            Some(days) => self.integer(days),
            None => self.null(),
        }
    }

    /// Ends the stream, and returns it with its number of rows.
    pub(super) fn end(mut self) -> (Vec<u8>, u64) {
        self.bytes.extend_from_slice(&END.to_be_bytes());
        (self.bytes, self.rows)
    }

    fn value(&mut self, value: &[u8]) -> &mut Self {
        // No stored value comes near 2 GiB, so the length always fits.
        let length: i32 = value.len().saturating_as();
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&NULL.to_be_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_as_postgresqls_manual_describes_it() {
        let mut rows = CopyRows::new(4, 1, 32);
        let day = NaiveDate::from_ymd_opt(1999, 12, 31);
        rows.row()
            .bytes(Some("ab"))
            .bytes(None::<&str>)
            .small(Some(-2))
            .date(day);
        let (bytes, count) = rows.end();
        assert_eq!(count, 1);
        assert_eq!(&bytes[..11], b"PGCOPY\n\xff\r\n\0");
        let expected = [
            [0; 8].as_slice(),
            &[0, 4],
            &[0, 0, 0, 2, b'a', b'b'],
            &[0xff; 4],
            &[0, 0, 0, 2, 0xff, 0xfe],
            &[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff],
        ];
        assert_eq!(bytes[11..], expected.concat());
    }
}
