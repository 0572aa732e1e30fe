//! Numbers of doses: what leaves of them, and what is left out because it cannot be read.

use connector_kit::{Dose, Field};

use crate::codes::{Counts, DoseTable, DoseWord};

/// A vaccination's numbers of doses, as far as they can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Doses {
    /// Number of the dose in its course.
    pub(crate) number: Option<u8>,
    /// Number of doses of the course.
    pub(crate) series: Option<u8>,
    /// True where the dose's number is there and cannot be read.
    pub(crate) number_unread: bool,
    /// True where the number of doses is there and cannot be read, or is contradicted.
    pub(crate) series_unread: bool,
}

impl Doses {
    /// Reads both fields. A fact leaves without a number that cannot be read: whom it is about, and
    /// that the dose was given, is certain all the same.
    pub(crate) fn read(table: &DoseTable, number: &Field<Dose>, series: &Field<Dose>) -> Self {
        let (of_number, number_unread) = word(table, number);
        let (of_series, mut series_unread) = word(table, series);
        // A field for the whole course may say "2" or "2/2".
        let whole = of_series.map(|counts| counts.series.unwrap_or(counts.number));
        let beside = of_number.and_then(|counts| counts.series);
        let series = match (whole, beside) {
            (Some(whole), Some(beside)) if whole != beside => {
                series_unread = true;
                None
            }
            (whole, beside) => whole.or(beside),
        };
        Self {
            number: of_number.map(|counts| counts.number),
            series,
            number_unread,
            series_unread,
        }
    }

    /// Number of fields that are left out.
    pub(crate) const fn unread(self) -> u8 {
        self.number_unread as u8 + self.series_unread as u8
    }
}

/// Numbers that a field states, and whether it states something that cannot be read.
fn word(table: &DoseTable, field: &Field<Dose>) -> (Option<Counts>, bool) {
    match field {
        Field::Missing => (None, false),
        Field::Invalid(_) => (None, true),
        Field::Value(dose) => match table.read(dose) {
            DoseWord::Counts(counts) => (Some(counts), false),
            DoseWord::NoNumber => (None, false),
            DoseWord::Unreadable => (None, true),
        },
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::FieldFault;

    use super::*;

    fn read(number: &str, series: &str) -> (Option<u8>, Option<u8>, u8) {
        let field = |text: &str| match text {
            "" => Field::Missing,
            "?" => Field::Invalid(FieldFault::BadEncoding),
            text => Field::Value(Dose::Word(text.into())),
        };
        let table = DoseTable::new([]).expect("nothing is mapped");
        let doses = Doses::read(&table, &field(number), &field(series));
        (doses.number, doses.series, doses.unread())
    }

    #[test]
    fn a_dose_may_state_its_course() {
        for (number, series, expected) in [
            ("", "", (None, None, 0)),
            ("2", "", (Some(2), None, 0)),
            ("2", "2", (Some(2), Some(2), 0)),
            ("2/2", "", (Some(2), Some(2), 0)),
            ("2/2", "2", (Some(2), Some(2), 0)),
            ("1", "1/2", (Some(1), Some(2), 0)),
            ("booster", "2", (None, Some(2), 0)),
        ] {
            assert_eq!(read(number, series), expected, "{number} {series}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_contradicts_is_left_out() {
        for (number, series, expected) in [
            ("77", "2", (None, Some(2), 1)),
            ("1", "много", (Some(1), None, 1)),
            ("?", "?", (None, None, 2)),
            ("2/2", "3", (Some(2), None, 1)),
        ] {
            assert_eq!(read(number, series), expected, "{number} {series}");
        }
    }
}
