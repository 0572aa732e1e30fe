//! Texts on a value that nobody has mapped: what it is, and where to map it.

use pseudonym::ValueTable;

use super::{Hidden, Shown};

/// Line that maps an empty status, once it has a target.
pub(in crate::cli) const EMPTY_STATUS_LINE: &str = "\"\" = \"…\"";

/// Place of a source's mappings in the configuration.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Place<'a> {
    /// Name of the source.
    pub(in crate::cli) source: &'a str,
    /// Name of its connector's section, such as `postgres`.
    pub(in crate::cli) kind: &'a str,
}

impl Place<'_> {
    /// The value and the number of its rows: `vaccine «Бетувакс-КоВ-2» × 412: not known`.
    pub(in crate::cli) fn what(self, shown: &Shown) -> String {
        let Shown { value, rows, .. } = shown;
        let named = format!("{} «{}» × {rows}", noun(value.table), value.key());
        match value.table {
            ValueTable::Conflicts => format!("{named}: mean different things"),
            _ => format!("{named}: not known"),
        }
    }

    /// What to write for the value, and where.
    pub(in crate::cli) fn help(self, shown: &Shown) -> String {
        let Shown { feed, value, .. } = shown;
        let line = format!("{} = \"…\"", quoted(&value.key()));
        match (value.table, self.table(value.table, feed)) {
            (ValueTable::Conflicts, _) => {
                "correct the record, or map one of the codes under policy.codes".to_owned()
            }
            (ValueTable::Status, Some(section)) => {
                format!("write {line} in status_words of [{section}]")
            }
            (ValueTable::Status, None) => {
                "the server's status is no word of FHIR's: correct it at the clinic".to_owned()
            }
            (_, Some(section)) if value.can_be_key() => format!("write {line} under [{section}]"),
            _ => "it holds a |, which parts a system from its code: map it in the source's query"
                .to_owned(),
        }
    }

    /// What to write for an empty status, and where; `None` where configuration cannot map it.
    pub(in crate::cli) fn empty_status_help(self, feed: &str) -> Option<String> {
        let section = self.table(ValueTable::Status, feed)?;
        Some(format!(
            "write {EMPTY_STATUS_LINE} in status_words of [{section}]: an empty word stands for \
             NULL too"
        ))
    }

    /// What and help, as one line.
    pub(in crate::cli) fn line(self, shown: &Shown) -> String {
        format!("{}; {}", self.what(shown), self.help(shown))
    }

    /// Section of the configuration that maps values of the table; for status words the one that
    /// has `status_words`. `None` where configuration cannot map them.
    pub(in crate::cli) fn table(self, table: ValueTable, feed: &str) -> Option<String> {
        let source = quoted_key(self.source);
        match table {
            ValueTable::Conflicts => None,
            // FHIR's status words are a closed list.
            ValueTable::Status if matches!(self.kind, "fhir" | "fhir-folder") => None,
            ValueTable::Status => Some(format!("source.{source}.{}.{feed}", self.kind)),
            table => Some(format!("source.{source}.policy.codes.{}", table.as_str())),
        }
    }
}

impl Hidden {
    /// Number of the values and their rows, without any of them.
    pub(in crate::cli) fn text(&self) -> String {
        let Self {
            table,
            values,
            rows,
            ..
        } = self;
        let noun = noun(*table);
        let are = match values {
            1 => format!("1 {noun} that is long or rare, not shown"),
            values => format!("{values} values ({noun}) that are long or rare, not shown"),
        };
        format!("{are} × {rows}")
    }
}

/// Name of a value of the table.
const fn noun(table: ValueTable) -> &'static str {
    match table {
        ValueTable::Vaccines => "vaccine",
        ValueTable::Tests => "test",
        ValueTable::Results => "result",
        ValueTable::Diagnoses => "diagnosis",
        ValueTable::Countries => "country",
        ValueTable::Status => "status",
        ValueTable::Conflicts => "codes",
    }
}

/// A text as TOML writes it in one line. Only for texts that may be shown: they have no control
/// characters.
pub(in crate::cli) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A key of TOML: bare where that is possible.
fn quoted_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

#[cfg(test)]
mod tests {
    use pseudonym::UnknownValue;

    use super::*;

    fn shown(table: ValueTable, system: &str, word: &str) -> Shown {
        let text = format!("{system}\0{word}");
        Shown {
            feed: "vaccinations".into(),
            value: UnknownValue::from_text(table, &text).expect("a value"),
            rows: 412,
        }
    }

    const MIS: Place<'static> = Place {
        source: "mis",
        kind: "postgres",
    };

    #[test]
    fn a_value_is_told_with_the_line_to_write() {
        assert_eq!(
            MIS.line(&shown(ValueTable::Vaccines, "", "Бетувакс-КоВ-2")),
            "vaccine «Бетувакс-КоВ-2» × 412: not known; write \"Бетувакс-КоВ-2\" = \"…\" under \
             [source.mis.policy.codes.vaccines]"
        );
        let system = shown(
            ValueTable::Diagnoses,
            "http://snomed.info/sct",
            "1119302008",
        );
        let line = MIS.line(&system);
        assert!(
            line.contains("\"http://snomed.info/sct|1119302008\" = "),
            "{line}"
        );
    }

    #[test]
    fn status_words_are_the_connectors_and_a_fhir_servers_are_nobodys() {
        let status = shown(ValueTable::Status, "", "signed");
        let help = MIS.help(&status);
        assert_eq!(
            help,
            "write \"signed\" = \"…\" in status_words of [source.mis.postgres.vaccinations]"
        );
        let fhir = Place {
            kind: "fhir",
            ..MIS
        };
        assert!(fhir.help(&status).contains("correct it at the clinic"));
        let empty = MIS.empty_status_help("tests").expect("a line");
        assert!(
            empty.starts_with("write \"\" = \"…\" in status_words of [source.mis.postgres.tests]"),
            "{empty}"
        );
        assert_eq!(fhir.empty_status_help("tests"), None);
    }

    #[test]
    fn what_cannot_be_a_key_is_told_so_and_quotes_are_escaped() {
        let bar = MIS.help(&shown(ValueTable::Tests, "", "a|b"));
        assert!(bar.contains("in the source's query"), "{bar}");
        let quote = MIS.help(&shown(ValueTable::Tests, "", "ПЦР \"экспресс\" \\ 7"));
        assert!(
            quote.contains(r#"write "ПЦР \"экспресс\" \\ 7" = "#),
            "{quote}"
        );
        assert_eq!(quoted_key("my mis"), "\"my mis\"");
        let conflict = shown(ValueTable::Conflicts, "", "Спутник V beside Comirnaty");
        let line = MIS.line(&conflict);
        assert!(line.contains("mean different things"), "{line}");
    }

    #[test]
    fn values_that_are_not_shown_are_counted() {
        let mut hidden = Hidden {
            feed: "tests".into(),
            table: ValueTable::Tests,
            values: 7,
            rows: 9,
        };
        assert_eq!(
            hidden.text(),
            "7 values (test) that are long or rare, not shown × 9"
        );
        hidden.values = 1;
        assert!(hidden.text().starts_with("1 test that is long or rare"));
    }
}
