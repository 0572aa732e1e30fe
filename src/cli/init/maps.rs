//! The maps of codes for the values that were found: what the built-in lists know is left out.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Dose, Field, Identifier, IdentifierKind, Person,
    RecordStatus,
};
use connector_sql::{FoundValues, OTHER_DISEASE, ProposedFeed};
use program::quoted;
use program::terminal::counted;
use pseudonym::{Policy, PolicyConfig, Pseudonymiser};

/// Lists of `[source.NAME.policy.codes]` by the documented column that they translate, and what a
/// code may be mapped to.
const LISTS: [(&str, &str, &str); 9] = [
    ("vaccine_code", "vaccines", "a vaccine's name, or ignore"),
    (
        "test_code",
        "tests",
        "a LOINC code: 94500-6 PCR, 94558-4 antigen; or ignore",
    ),
    (
        "result_code",
        "results",
        "detected, not-detected or inconclusive",
    ),
    ("diagnosis_code", "diagnoses", "recovery or ignore"),
    ("dose_number", "doses", "a whole number, or ignore"),
    (
        "person_passport_foreign_country",
        "countries",
        "a code of ISO 3166-1",
    ),
    (
        "person_national_id_country",
        "countries",
        "a code of ISO 3166-1",
    ),
    (
        "person_passport_foreign_list_country",
        "countries",
        "a code of ISO 3166-1",
    ),
    (
        "person_national_id_list_country",
        "countries",
        "a code of ISO 3166-1",
    ),
];

/// Lists whose heading is a comment, too, where all their lines are.
const OFF_WHEN_EMPTY: [&str; 2] = ["doses", "countries"];

/// Tells what the built-in lists know, by what would leave of a record with that code.
pub(super) struct Known<'a> {
    pub pseudonymiser: &'a Pseudonymiser,
    pub today: NaiveDate,
}

impl Known<'_> {
    pub(super) fn knows(&self, column: &str, code: &str) -> bool {
        let codings = || vec![Coding::local(code)];
        let fact = match column {
            "vaccine_code" => ClinicFact::Vaccination {
                vaccine: codings(),
                dose_number: Field::Missing,
                series_doses: Field::Missing,
                occurred_on: Field::Missing,
            },
            "test_code" | "result_code" => ClinicFact::Test {
                test: codings(),
                result: codings(),
                occurred_on: Field::Missing,
            },
            "diagnosis_code" => ClinicFact::Recovery {
                diagnosis: codings(),
                began_on: Field::Missing,
                occurred_on: Field::Missing,
            },
            "dose_number" => ClinicFact::Vaccination {
                vaccine: Vec::new(),
                dose_number: Field::Value(dose(code)),
                series_doses: Field::Missing,
                occurred_on: Field::Missing,
            },
            _ => return self.knows_country(code),
        };
        let preview = self.pseudonymiser.preview(&record(fact), self.today);
        let mut fields = preview.fields.iter();
        fields.any(|field| field.field == column && field.reason.is_none())
    }

    /// By a record that lacks nothing else: it is refused for its country, or not at all.
    fn knows_country(&self, country: &str) -> bool {
        let fact = ClinicFact::Vaccination {
            vaccine: vec![Coding::local("sputnik-v")],
            dose_number: Field::Missing,
            series_doses: Field::Missing,
            occurred_on: Field::Value(ClinicDate::Year(2021)),
        };
        let mut record = record(fact);
        record.person.identifiers.push(Identifier {
            kind: IdentifierKind::PassportForeign,
            value: "AB1234567".into(),
            country: Some(country.to_owned()),
        });
        let unknown = self.pseudonymiser.unknown_value(&record, self.today);
        unknown.is_none()
    }
}

/// A dose as a connector would hand it on.
fn dose(word: &str) -> Dose {
    word.parse()
        .map_or_else(|_| Dose::Word(word.to_owned()), Dose::Number)
}

fn record(fact: ClinicFact) -> ClinicRecord {
    ClinicRecord {
        record_id: "1".into(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person: Person::default(),
        fact,
        stamp: None,
    }
}

/// Makes the pseudonymiser that judges by the built-in lists alone.
pub(super) fn by_built_in_lists(
    ring: &pseudonym::KeyRing,
    suite: pseudonym::Suite,
) -> Option<Pseudonymiser> {
    let policy = Policy::new(&PolicyConfig::default()).ok()?;
    Pseudonymiser::new(ring, suite, "mis", policy).ok()
}

/// Lines of one list.
#[derive(Default)]
struct List {
    mapped: Vec<String>,
    comments: Vec<String>,
}

/// Writes the tables of `[source.NAME.policy.codes]` for all feeds.
pub(super) fn sections(name: &str, feeds: &[ProposedFeed], known: &Known<'_>) -> String {
    let mut lists: BTreeMap<&str, List> = BTreeMap::new();
    for found in feeds.iter().flat_map(|feed| &feed.values) {
        let list = LISTS.iter().find(|(column, ..)| *column == found.column);
        if let Some((column, list, targets)) = list {
            add(
                lists.entry(*list).or_default(),
                column,
                targets,
                found,
                known,
            );
        }
    }
    let mut text = String::new();
    for (list, List { mapped, comments }) in lists {
        if mapped.is_empty() && comments.is_empty() {
            continue;
        }
        let is_off = mapped.is_empty() && OFF_WHEN_EMPTY.contains(&list);
        let off = if is_off { "# " } else { "" };
        text += &format!("{off}[source.{name}.policy.codes.{list}]\n");
        text.extend(
            mapped
                .iter()
                .chain(&comments)
                .map(|line| format!("{line}\n")),
        );
        text.push('\n');
    }
    text
}

fn add(list: &mut List, column: &str, targets: &str, found: &FoundValues, known: &Known<'_>) {
    let mut unknown = Vec::new();
    let mut number_known = 0_u64;
    for (value, rows) in &found.values {
        if value == OTHER_DISEASE {
            let line = format!("{} = \"ignore\"", quoted(value));
            if !list.mapped.contains(&line) {
                list.mapped.push(line);
            }
        } else if known.knows(column, value) {
            number_known += 1;
        } else {
            unknown.push(format!("# {} = \"…\" # × {rows}", quoted(value)));
        }
    }
    if unknown.is_empty() {
        return;
    }
    list.comments.push(format!(
        "# {column}: {} known without a line here; of the others write each as {targets}:",
        counted(number_known, "value is", "values are")
    ));
    unknown.retain(|line| !list.comments.contains(line));
    list.comments.append(&mut unknown);
    if found.hidden > 0 || found.is_cut {
        list.comments.push(
            "# Values of one row, long ones and numbers are not shown here; `clinic-gateway check` \
             counts what it does not know."
                .into(),
        );
    }
}
