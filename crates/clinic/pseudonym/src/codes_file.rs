//! A clinic's codes in a CSV file beside the configuration: columns `table`, `code`, `meaning`.

use std::collections::BTreeMap;

use connector_kit::Feed;

use crate::config::{CodesConfig, PolicyConfig};
use crate::csv::{Csv, CsvFault, CsvRow};
use crate::policy::{MAX_MAPPINGS, Policy, PolicyError};

/// Largest file, in bytes.
pub const MAX_CODES_FILE_BYTES: usize = 4 << 20;

/// Names of the columns.
const COLUMNS: [&str; 3] = ["table", "code", "meaning"];

/// Names of the tables.
const TABLES: [&str; 6] = [
    "vaccines",
    "tests",
    "results",
    "diagnoses",
    "doses",
    "countries",
];

/// A file that cannot be used; says where and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct CodesFileError {
    /// Number of the line, from 1.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub what: String,
}

impl CodesFileError {
    fn at(line: usize, what: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            what: what.into(),
        }
    }
}

/// The codes of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodesFile {
    codes: CodesConfig,
    /// Line of each key.
    lines: BTreeMap<(&'static str, String), usize>,
}

impl CodesFile {
    /// Reads a file: UTF-8, with or without a byte order mark; commas or semicolons; a header.
    ///
    /// # Errors
    /// [`CodesFileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, CodesFileError> {
        if bytes.len() > MAX_CODES_FILE_BYTES {
            return Err(CodesFileError {
                line: None,
                what: "the file has more than 4 MiB".to_owned(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            CodesFileError::at(line, "the text is not UTF-8; save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first = text.lines().next().unwrap_or_default();
        let separator = if first.contains(';') { ';' } else { ',' };
        let mut rows = Csv::new(text, separator);
        let columns = header(rows.next())?;
        let mut file = Self::default();
        for row in rows {
            let (line, fields) = row.map_err(|(line, fault)| csv_error(line, fault))?;
            if fields.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            let [table, code, meaning] = columns.map(|place| {
                let field = fields.get(place).map(String::as_str);
                field.unwrap_or_default().trim()
            });
            file.add(line, table, code, meaning)?;
        }
        Ok(file)
    }

    fn add(
        &mut self,
        line: usize,
        table: &str,
        code: &str,
        meaning: &str,
    ) -> Result<(), CodesFileError> {
        let Some(table) = TABLES.into_iter().find(|listed| *listed == table) else {
            let what = format!(
                "there is no table {table:?}: write one of {}",
                TABLES.join(", ")
            );
            return Err(CodesFileError::at(line, what));
        };
        if code.is_empty() || meaning.is_empty() {
            return Err(CodesFileError::at(line, "code or meaning is empty"));
        }
        let codes = table_of(&mut self.codes, table);
        match codes.get(code) {
            Some(other) if other != meaning => {
                let first = self.lines.get(&(table, code.to_owned()));
                let first = first.map(ToString::to_string).unwrap_or_default();
                let what = format!("{code:?} is mapped to something else in line {first}");
                return Err(CodesFileError::at(line, what));
            }
            Some(_) => return Ok(()),
            None if codes.len() == MAX_MAPPINGS => {
                let what = format!("the table {table} has more than {MAX_MAPPINGS} rows");
                return Err(CodesFileError::at(line, what));
            }
            None => {}
        }
        codes.insert(code.to_owned(), meaning.to_owned());
        self.lines.insert((table, code.to_owned()), line);
        Ok(())
    }

    /// Compiles a policy with the codes of its configuration and of this file.
    ///
    /// # Errors
    /// [`CodesFileError`]; without a line where the configuration itself is wrong.
    pub fn policy(&self, config: &PolicyConfig) -> Result<Policy, CodesFileError> {
        let mut all = config.clone();
        let mut codes = self.codes.clone();
        for table in TABLES {
            for (code, meaning) in std::mem::take(table_of(&mut codes, table)) {
                let mapped = table_of(&mut all.codes, table);
                let other = mapped.insert(code.clone(), meaning.clone());
                if other.is_some_and(|other| other != meaning) {
                    let line = self.lines.get(&(table, code.clone())).copied();
                    let what = format!("{code:?} is mapped to something else in codes.{table}");
                    return Err(CodesFileError { line, what });
                }
            }
        }
        Policy::new(&all).map_err(|error| CodesFileError {
            line: self.line_of(&error),
            what: error.to_string(),
        })
    }

    fn line_of(&self, error: &PolicyError) -> Option<usize> {
        let (PolicyError::UnknownName { table, key, .. } | PolicyError::Key { table, key, .. }) =
            error
        else {
            return None;
        };
        self.lines.get(&(*table, key.clone())).copied()
    }

    /// Text of what the file maps for one feed; changes with it and with nothing else.
    #[must_use]
    pub fn meaning_for(&self, feed: Feed) -> String {
        let own: &[&str] = match feed {
            Feed::Vaccinations => &["vaccines", "doses"],
            Feed::Tests => &["tests", "results"],
            Feed::Recoveries => &["diagnoses"],
        };
        let mut codes = self.codes.clone();
        let mut text = String::new();
        for table in own.iter().chain(&["countries"]) {
            for (code, meaning) in table_of(&mut codes, table).iter() {
                text += &format!("{table}\0{code}\0{meaning}\0");
            }
        }
        text
    }
}

/// Places of the columns.
fn header(row: Option<CsvRow>) -> Result<[usize; 3], CodesFileError> {
    let missing = || {
        let what = "the first line names the columns: table,code,meaning (or with semicolons)";
        CodesFileError::at(1, what)
    };
    let (_, names) = row
        .ok_or_else(missing)?
        .map_err(|(line, fault)| csv_error(line, fault))?;
    let place = |column: &str| {
        let is_named = |name: &String| name.trim().eq_ignore_ascii_case(column);
        names.iter().position(is_named)
    };
    let [table, code, meaning] = COLUMNS.map(place);
    match (table, code, meaning) {
        (Some(table), Some(code), Some(meaning)) => Ok([table, code, meaning]),
        _ => Err(missing()),
    }
}

fn csv_error(line: usize, fault: CsvFault) -> CodesFileError {
    let what = match fault {
        CsvFault::Open => "a quotation mark is not closed",
        CsvFault::AfterQuote => {
            "text stands behind a closing quotation mark; write two marks for one inside"
        }
    };
    CodesFileError::at(line, what)
}

fn table_of<'c>(codes: &'c mut CodesConfig, table: &str) -> &'c mut BTreeMap<String, String> {
    match table {
        "vaccines" => &mut codes.vaccines,
        "tests" => &mut codes.tests,
        "results" => &mut codes.results,
        "diagnoses" => &mut codes.diagnoses,
        "doses" => &mut codes.doses,
        _ => &mut codes.countries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let read = CodesFile::read(text.as_bytes());
        let policy = read.and_then(|file| file.policy(&PolicyConfig::default()).map(|_| ()));
        policy.expect_err(text).to_string()
    }

    #[test]
    fn commas_and_semicolons_quotes_and_a_mark_are_read_alike() {
        let plain =
            "table,code,meaning\nvaccines,Спутник*,sputnik-v\ndoses,\"a \"\"b\"\", c\",2/2\n";
        let expected = CodesFile::read(plain.as_bytes()).expect("a file");
        assert_eq!(expected.codes.doses["a \"b\", c"], "2/2");
        let excel = "\u{feff}Table;Code;Meaning;Comment\r\nvaccines; Спутник* ;sputnik-v;x\r\n\r\n\
                     doses;\"a \"\"b\"\", c\";2/2;\r\n";
        let read = CodesFile::read(excel.as_bytes()).expect("a file");
        assert_eq!(read.codes, expected.codes);
        let turned =
            "meaning,table,code\nsputnik-v,vaccines,Спутник*\n2/2,doses,\"a \"\"b\"\", c\"";
        let read = CodesFile::read(turned.as_bytes()).expect("a file");
        assert_eq!(read.codes, expected.codes);
        assert!(expected.policy(&PolicyConfig::default()).is_ok());
    }

    #[test]
    fn an_error_names_its_line() {
        for (text, said) in [
            ("", "line 1: the first line names the columns"),
            ("vaccines,a,b\n", "line 1: the first line names the columns"),
            (
                "table,code,meaning\n\nvaccine,a,ignore\n",
                "line 3: there is no table \"vaccine\"",
            ),
            (
                "table,code,meaning\nvaccines,,ignore\n",
                "line 2: code or meaning is empty",
            ),
            (
                "table,code,meaning\nvaccines,a\n",
                "line 2: code or meaning is empty",
            ),
            (
                "table,code,meaning\nvaccines,\"a,ignore\n",
                "line 2: a quotation mark",
            ),
            (
                "table,code,meaning\nvaccines,\"a\"b,ignore\n",
                "line 2: text stands behind",
            ),
            (
                "table,code,meaning\nvaccines,\"a\nb\",ignore\nvaccines,x,sputnik-w\n",
                "line 4: codes.vaccines: \"x\" is mapped to \"sputnik-w\"",
            ),
            (
                "table,code,meaning\nresults,*,ignore\n",
                "line 2: codes.results: the key \"*\"",
            ),
            (
                "table,code,meaning\nresults,a,ignore\nresults,a,ignore\nresults,a,detected\n",
                "line 4: \"a\" is mapped to something else in line 2",
            ),
        ] {
            let found = error(text);
            assert!(found.starts_with(said), "{found}");
        }
        let latin = CodesFile::read(b"table,code,meaning\nvaccines,\xcf,ignore\n").err();
        let latin = latin.expect("not UTF-8").to_string();
        assert!(
            latin.starts_with("line 2: the text is not UTF-8"),
            "{latin}"
        );
    }

    #[test]
    fn the_configuration_and_the_file_may_not_contradict() {
        let config = PolicyConfig {
            codes: CodesConfig {
                results: [("a".to_owned(), "detected".to_owned())].into(),
                ..CodesConfig::default()
            },
            ..PolicyConfig::default()
        };
        let policy = |meaning: &str| {
            let text = format!("table,code,meaning\nresults,a,{meaning}\n");
            let file = CodesFile::read(text.as_bytes()).expect("a file");
            file.policy(&config).err().map(|error| error.to_string())
        };
        assert_eq!(policy("detected"), None);
        let said = policy("not-detected").expect("contradicts");
        assert!(said.starts_with("line 2: \"a\" is mapped to something else in codes.results"));
    }

    #[test]
    fn rows_and_bytes_are_bounded() {
        let rows = |count: usize| {
            let rows: String = (0..count).map(|row| format!("doses,x{row},1\n")).collect();
            CodesFile::read(format!("table,code,meaning\n{rows}").as_bytes()).err()
        };
        assert_eq!(rows(MAX_MAPPINGS), None);
        let said = rows(MAX_MAPPINGS + 1).expect("too many").to_string();
        assert_eq!(said, "line 10002: the table doses has more than 10000 rows");
        let long = |bytes: usize| {
            let mut text = b"table,code,meaning\n".to_vec();
            text.resize(bytes, b'\n');
            CodesFile::read(&text).err().map(|error| error.to_string())
        };
        assert_eq!(long(MAX_CODES_FILE_BYTES), None);
        let said = long(MAX_CODES_FILE_BYTES + 1);
        assert_eq!(said.as_deref(), Some("the file has more than 4 MiB"));
    }

    #[test]
    fn a_feed_is_recognised_by_its_own_tables() {
        let read = |rows: &str| {
            let text = format!("table,code,meaning\n{rows}");
            CodesFile::read(text.as_bytes()).expect("a file")
        };
        let meanings = |rows: &str| Feed::ALL.map(|feed| read(rows).meaning_for(feed));
        let none = meanings("");
        for (row, changed) in [
            ("vaccines,a,ignore\n", [true, false, false]),
            ("doses,a,1\n", [true, false, false]),
            ("tests,a,ignore\n", [false, true, false]),
            ("results,a,ignore\n", [false, true, false]),
            ("diagnoses,a,ignore\n", [false, false, true]),
            ("countries,a,DE\n", [true, true, true]),
        ] {
            let now = meanings(row);
            let differs = [0, 1, 2].map(|place| now[place] != none[place]);
            assert_eq!(differs, changed, "{row}");
        }
    }
}
