//! Tests of the block.

use contract::Suite;
use pseudonym::{KeyRing, Policy};

use super::*;
use crate::cli::unknown::{Hidden, Shown};

fn pseudonymiser() -> Pseudonymiser {
    let policy = Policy::new(&PolicyConfig::default()).expect("the default policy");
    Pseudonymiser::new(&KeyRing::generate(), Suite::Hmac, "mis", policy).expect("a source")
}

fn shown(table: ValueTable, word: &str, rows: u64) -> Shown {
    Shown {
        feed: "vaccinations".into(),
        value: UnknownValue::from_text(table, &format!("\0{word}")).expect("a value"),
        rows,
    }
}

fn values(shown: Vec<Shown>) -> Values {
    Values {
        shown,
        hidden: Vec::new(),
    }
}

fn block(pseudonymiser: &Pseudonymiser, refused: Values) -> Block<'_> {
    Block {
        place: Place {
            source: "mis",
            kind: "postgres",
        },
        pseudonymiser,
        mapped: BTreeSet::new(),
        refused,
        without_value: 0,
        empty_status: BTreeMap::new(),
        is_new: false,
        known: TakenOut::default(),
        read: None,
        rows_read: 0,
        empty_status_read: BTreeMap::new(),
    }
}

fn some() -> Values {
    values(vec![
        shown(ValueTable::Vaccines, "Щука", 7),
        shown(ValueTable::Vaccines, "Спутник V, \"серия\" А", 412),
        shown(ValueTable::Tests, "a|b", 3),
        shown(ValueTable::Status, "signed", 2),
        shown(ValueTable::Conflicts, "Спутник V beside Comirnaty", 1),
    ])
}

#[test]
fn the_block_is_toml_in_which_nothing_is_decided() {
    let pseudonymiser = pseudonymiser();
    let text = block(&pseudonymiser, some()).lines().join("\n");
    let parsed: toml::Table = toml::from_str(&text).expect("TOML");
    let codes = &parsed["source"]["mis"]["policy"]["codes"];
    assert!(
        codes["vaccines"]
            .as_table()
            .is_some_and(toml::Table::is_empty)
    );
    let first = text.find("412 rows refused; nearest listed name: sputnik-v");
    let second = text.find("7 rows refused");
    assert!(first.is_some() && first < second, "{text}");
    assert!(text.contains("# targets: sputnik-v"), "{text}");
    assert!(text.contains("a|b\" holds a |"), "{text}");
    assert!(
        text.contains("# for status_words of [source.mis.postgres.vaccinations]:"),
        "{text}"
    );
}

#[test]
fn a_line_without_its_comment_maps_its_value_once_it_has_a_target() {
    let pseudonymiser = pseudonymiser();
    let lines = block(&pseudonymiser, some()).lines();
    let of_value = lines
        .iter()
        .find(|line| line.starts_with("# \"Спутник V"))
        .expect("the line");
    let line = of_value.trim_start_matches("# ");
    let codes = |line: &str| -> PolicyConfig {
        toml::from_str(&format!("[codes.vaccines]\n{line}")).expect("TOML")
    };
    let refused = Policy::new(&codes(line)).err().expect("the … is no target");
    assert!(refused.to_string().contains("…"), "{refused}");
    let mapped = codes(&line.replace('…', "sputnik-v"));
    let key = "Спутник V, \"серия\" А";
    assert_eq!(mapped.codes.vaccines[key], "sputnik-v");
}

#[test]
fn a_table_that_the_configuration_has_is_not_opened_twice() {
    let pseudonymiser = pseudonymiser();
    let mut config = PolicyConfig::default();
    config
        .codes
        .vaccines
        .insert("Щука-2".into(), "sputnik-v".into());
    let block = Block {
        mapped: mapped_tables(&config),
        ..block(&pseudonymiser, some())
    };
    let text = block.lines().join("\n");
    assert!(
        !text.contains("\n[source.mis.policy.codes.vaccines]"),
        "{text}"
    );
    assert!(
        text.contains("# for [source.mis.policy.codes.vaccines], which the configuration has"),
        "{text}"
    );
}

#[test]
fn what_is_read_stands_beside_what_is_refused() {
    let pseudonymiser = pseudonymiser();
    let block = Block {
        read: Some(values(vec![
            shown(ValueTable::Vaccines, "Щука", 5),
            shown(ValueTable::Vaccines, "Карп", 900),
        ])),
        rows_read: 10_000,
        ..block(&pseudonymiser, some())
    };
    let text = block.lines().join("\n");
    assert!(
        text.contains("# × 7 rows refused; × 5 of the 10000 records read\n# \"Щука\" = "),
        "{text}"
    );
    let json = block.json();
    assert_eq!(json["values"][0]["key"], "Карп");
    assert_eq!(json["values"][0]["read"], 900);
    assert_eq!(json["records_read"], 10_000);
}

#[test]
fn what_is_not_in_the_block_is_counted_without_being_shown() {
    let pseudonymiser = pseudonymiser();
    let mut refused = values(Vec::new());
    refused.hidden.push(Hidden {
        feed: "vaccinations".into(),
        table: ValueTable::Vaccines,
        values: 12,
        rows: 13,
    });
    let block = Block {
        without_value: 81,
        known: TakenOut {
            values: 2,
            rows: 90,
        },
        ..block(&pseudonymiser, refused)
    };
    let text = block.lines().join("\n");
    for part in [
        "no value of its dead letters can be shown",
        "12 values that are long or rare, not shown, × 13 rows refused",
        "81 rows are refused for an empty value",
        "2 more values are known by the configuration as it is now, and 90 rows are still \
         refused for them",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
    assert_eq!(block.json()["not_shown"][0]["values"], 12);
}

#[test]
fn an_empty_status_has_its_line_beside_the_words() {
    let pseudonymiser = pseudonymiser();
    let block = Block {
        without_value: 12,
        empty_status: BTreeMap::from([("vaccinations".to_owned(), 9)]),
        empty_status_read: BTreeMap::from([("tests", 4)]),
        read: Some(Values::default()),
        rows_read: 10,
        ..block(&pseudonymiser, some())
    };
    let text = block.lines().join("\n");
    for part in [
        "# \"signed\" = \"…\"\n# × 9 rows refused; the status is empty (NULL), or unreadable\n\
         # \"\" = \"…\"",
        "# for status_words of [source.mis.postgres.tests]:",
        "# × 4 of the 10 records read; the status is empty",
        "3 rows are refused for an empty value",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(block.json()["empty_status"][0]["feed"], "tests");
    let fhir = Block {
        place: Place {
            source: "mis",
            kind: "fhir",
        },
        ..block
    };
    let text = fhir.lines().join("\n");
    assert!(!text.contains("# \"\" = "), "{text}");
    assert!(
        text.contains("12 rows are refused for an empty value"),
        "{text}"
    );
}

#[test]
fn before_the_first_run_and_without_refused_values_reading_is_pointed_to() {
    let pseudonymiser = pseudonymiser();
    let mut block = block(&pseudonymiser, Values::default());
    let refused_none = block.lines().join("\n");
    assert!(refused_none.contains("no value of its dead letters"));
    block.is_new = true;
    let new = block.lines().join("\n");
    assert!(new.contains("nothing of it has been read yet"), "{new}");
    for text in [refused_none, new] {
        assert!(text.contains("`clinic-gateway codes mis --read`"), "{text}");
    }
    block.read = Some(Values::default());
    assert!(!block.lines().join("\n").contains("--read"));
}
