//! Values that nobody has mapped, as `check` names them on the operator's terminal.

use connector_kit::{CheckReport, Feed};
use pseudonym::RejectionReason;

use crate::cli::unknown::{Hidden, Place, Values, quoted};

/// Most distinct values that are named for one reason.
const MAX_NAMED: usize = 10;

/// The values of a reason in parentheses, the most frequent first; nothing where there are none.
/// `empty` is the number of rows whose value is missing.
pub(super) fn listed(reason: RejectionReason, values: &Values, empty: u64) -> String {
    let mut named: Vec<NamedRows> = values
        .shown
        .iter()
        .map(|shown| NamedRows::new(&quoted(&shown.value.key()), shown.rows))
        .collect();
    if has_a_value(reason) && empty > 0 {
        named.push(NamedRows::new("(empty)", empty));
    }
    named.sort_by_key(|named| std::cmp::Reverse(named.rows));
    let more = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    let mut texts: Vec<String> = named.into_iter().map(|named| named.text).collect();
    if more > 0 {
        texts.push(format!("{more} more values"));
    }
    texts.extend(values.hidden.iter().map(Hidden::text));
    if texts.is_empty() {
        return String::new();
    }
    format!(" ({})", texts.join(", "))
}

/// A value and the number of its rows.
struct NamedRows {
    text: String,
    rows: u64,
}

impl NamedRows {
    fn new(name: &str, rows: u64) -> Self {
        let text = format!("{name} {rows}");
        Self { text, rows }
    }
}

/// Returns whether the reason is about a value that could be mapped.
const fn has_a_value(reason: RejectionReason) -> bool {
    use RejectionReason as Reason;
    matches!(
        reason,
        Reason::StatusUnknown
            | Reason::VaccineUnknown
            | Reason::TestUnknown
            | Reason::ResultUnknown
            | Reason::DiagnosisUnknown
    )
}

/// Tells where each value is to be mapped.
pub(super) fn tell(report: &mut CheckReport, feed: Feed, place: Place<'_>, values: &Values) {
    let shown = &values.shown;
    for value in shown.iter().take(MAX_NAMED) {
        report.warn(format!("{feed}: {}", place.what(value)), place.help(value));
    }
    let more = shown.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        report.warn(
            format!("{feed}: {more} more values are not known"),
            format!(
                "`clinic-gateway codes {} --read` prints all of them as a block of configuration",
                place.source
            ),
        );
    }
}

/// Tells where an empty status is to be mapped, which so many rows have.
pub(super) fn tell_empty_status(report: &mut CheckReport, feed: Feed, place: Place<'_>, rows: u64) {
    if let Some(help) = place.empty_status_help(feed.as_str()) {
        report.warn(format!("{feed}: status (empty) × {rows}: not known"), help);
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::Level;
    use pseudonym::{UnknownValue, ValueTable};

    use super::*;
    use crate::cli::unknown::Shown;

    fn values(words: impl IntoIterator<Item = (&'static str, u64)>) -> Values {
        let shown = words.into_iter().map(|(word, rows)| Shown {
            feed: "vaccinations".into(),
            value: UnknownValue::from_text(ValueTable::Vaccines, &format!("\0{word}"))
                .expect("a value"),
            rows,
        });
        Values {
            shown: shown.collect(),
            hidden: Vec::new(),
        }
    }

    #[test]
    fn values_stand_behind_their_reason_and_the_rest_is_counted() {
        let unknown = RejectionReason::VaccineUnknown;
        let mut some = values([("Вакцина Х", 120), ("Щука", 3)]);
        assert_eq!(
            listed(unknown, &some, 81),
            " (\"Вакцина Х\" 120, (empty) 81, \"Щука\" 3)"
        );
        some.hidden.push(Hidden {
            feed: "vaccinations".into(),
            table: ValueTable::Vaccines,
            values: 7,
            rows: 9,
        });
        let told = listed(unknown, &some, 0);
        assert!(
            told.ends_with("7 values (vaccine) that are long or rare, not shown × 9)"),
            "{told}"
        );
        assert_eq!(listed(unknown, &Values::default(), 0), "");
        assert_eq!(
            listed(RejectionReason::IdentifierMissing, &Values::default(), 5),
            ""
        );
        let many = values((0..12).map(|_| ("Щука", 1)));
        assert!(listed(unknown, &many, 0).ends_with(", 2 more values)"));
    }

    #[test]
    fn an_empty_status_is_a_finding_with_the_line_to_write() {
        let told = |kind| {
            let mut report = CheckReport::default();
            let place = Place {
                source: "mis",
                kind,
            };
            tell_empty_status(&mut report, Feed::Tests, place, 12);
            report.findings
        };
        let found = told("mysql").remove(0);
        assert_eq!(found.what, "tests: status (empty) × 12: not known");
        let help = found.help.expect("advice");
        assert!(help.contains("\"\" = \"…\" in status_words of [source.mis.mysql.tests]"));
        assert!(
            told("fhir").is_empty(),
            "no word of a clinic's is mapped there"
        );
    }

    #[test]
    fn each_value_is_a_finding_with_the_line_to_write() {
        let place = Place {
            source: "mis",
            kind: "postgres",
        };
        let mut report = CheckReport::default();
        let many = values((0..12).map(|_| ("Щука", 5)));
        tell(&mut report, Feed::Vaccinations, place, &many);
        assert_eq!(report.findings.len(), 11);
        let first = &report.findings[0];
        assert_eq!(first.level, Level::Warning);
        assert_eq!(first.what, "vaccinations: vaccine «Щука» × 5: not known");
        let help = first.help.as_deref().expect("advice");
        assert!(
            help.contains("[source.mis.policy.codes.vaccines]"),
            "{help}"
        );
        let last = &report.findings[10];
        assert!(last.what.contains("2 more values"), "{}", last.what);
    }
}
