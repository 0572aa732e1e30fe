//! Numbers of rows as the beginning of a sentence.

/// Subject and verb of what is true of some rows: `1 row has`, `3 rows have`.
pub(super) fn rows_have(count: u64) -> String {
    match count {
        1 => "1 row has".to_owned(),
        _ => format!("{count} rows have"),
    }
}

/// Subject and verb of what is true of some of the newest rows, given the verb of one row and of
/// several: `1 of the newest 4 rows has`.
pub(super) fn of_newest(found: usize, rows: usize, [one, several]: [&str; 2]) -> String {
    match (found, rows) {
        (_, 1) => format!("the newest row {one}"),
        (1, _) => format!("1 of the newest {rows} rows {one}"),
        _ => format!("{found} of the newest {rows} rows {several}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_is_told_as_one() {
        assert_eq!(rows_have(1), "1 row has");
        assert_eq!(rows_have(2), "2 rows have");
        let have = |found, rows| of_newest(found, rows, ["has", "have"]);
        assert_eq!(have(1, 1), "the newest row has");
        assert_eq!(have(1, 4), "1 of the newest 4 rows has");
        assert_eq!(have(4, 4), "4 of the newest 4 rows have");
    }
}
