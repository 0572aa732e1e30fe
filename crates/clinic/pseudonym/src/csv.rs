//! Rows of comma-separated values (RFC 4180), with the number of each row's first line.

use std::iter::Peekable;
use std::str::Chars;

/// Reason why a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvFault {
    /// A quotation mark is not closed.
    Open,
    /// Text behind a closing quotation mark.
    AfterQuote,
}

/// A row: the number of its first line, and its fields or what is wrong with it.
pub(crate) type CsvRow = Result<(usize, Vec<String>), (usize, CsvFault)>;

/// Rows of a text.
pub(crate) struct Csv<'t> {
    chars: Peekable<Chars<'t>>,
    separator: char,
    line: usize,
}

impl<'t> Csv<'t> {
    /// Begins with the first line.
    pub(crate) fn new(text: &'t str, separator: char) -> Self {
        Self {
            chars: text.chars().peekable(),
            separator,
            line: 1,
        }
    }

    /// Reads one field; true if it is the last one of its row.
    fn field(&mut self, field: &mut String) -> Result<bool, CsvFault> {
        let is_quoted = self.chars.next_if_eq(&'"').is_some();
        if is_quoted {
            self.quoted(field)?;
        }
        loop {
            match self.chars.next() {
                None | Some('\n') => {
                    self.line += 1;
                    return Ok(true);
                }
                Some('\r') if self.chars.peek().is_none_or(|next| *next == '\n') => {}
                Some(char) if char == self.separator => return Ok(false),
                Some(char) if is_quoted && !char.is_whitespace() => {
                    return Err(CsvFault::AfterQuote);
                }
                Some(_) if is_quoted => {}
                Some(char) => field.push(char),
            }
        }
    }

    fn quoted(&mut self, field: &mut String) -> Result<(), CsvFault> {
        loop {
            match self.chars.next().ok_or(CsvFault::Open)? {
                '"' if self.chars.next_if_eq(&'"').is_none() => return Ok(()),
                char => {
                    self.line += usize::from(char == '\n');
                    field.push(char);
                }
            }
        }
    }
}

impl Iterator for Csv<'_> {
    type Item = CsvRow;

    fn next(&mut self) -> Option<Self::Item> {
        self.chars.peek()?;
        let first_line = self.line;
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            let is_last = self.field(&mut field);
            fields.push(field);
            match is_last {
                Ok(false) => {}
                Ok(true) => return Some(Ok((first_line, fields))),
                Err(fault) => return Some(Err((first_line, fault))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        Csv::new(text, ',').map(|row| row.expect("a row")).collect()
    }

    #[test]
    fn rows_have_fields_and_the_number_of_their_line() {
        let expected = |rows: &[(usize, &[&str])]| -> Vec<(usize, Vec<String>)> {
            let owned = |fields: &[&str]| fields.iter().map(|one| (*one).to_owned()).collect();
            rows.iter()
                .map(|(line, fields)| (*line, owned(fields)))
                .collect()
        };
        assert_eq!(rows(""), []);
        assert_eq!(
            rows("a,b\r\nc,d"),
            expected(&[(1, &["a", "b"]), (2, &["c", "d"])])
        );
        assert_eq!(
            rows("\"a\nb\",\"\"\"\"\n,\n"),
            expected(&[(1, &["a\nb", "\""]), (3, &["", ""])])
        );
    }

    #[test]
    fn marks_that_do_not_fit_are_faults() {
        let fault = |text: &str| Csv::new(text, ';').find_map(Result::err);
        assert_eq!(fault("a\n\"b"), Some((2, CsvFault::Open)));
        assert_eq!(fault("\"a\"b"), Some((1, CsvFault::AfterQuote)));
        assert_eq!(fault("\"a\" ;b\"c"), None);
    }
}
