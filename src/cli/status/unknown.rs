//! Lines on values that nobody has mapped.

use std::collections::BTreeMap;

use program::terminal::{counted, print_line};

use crate::cli::unknown::{Place, Stored, TakenOut, Values};
use crate::config::{LoadedConfig, SourceConfig};

/// Most values that are named of a source.
const MAX_NAMED: usize = 3;

/// Prints the most frequent values of each source, and the command that prints all.
pub(super) fn print_unknown(stored: &Stored, loaded: &LoadedConfig) {
    let lines = stored.by_source().into_iter().flat_map(|(source, values)| {
        let config = loaded.config.source.get(source);
        let sections = config.map(SourceConfig::sections).unwrap_or_default();
        let place = Place {
            source,
            kind: sections.first().map_or("", |section| section.name),
        };
        texts(place, &values, stored.has_keys)
    });
    lines.for_each(print_line);
}

/// Prints how many values the configuration maps by now, though rows are still refused for them.
pub(super) fn print_known(known: &BTreeMap<String, TakenOut>) {
    let line =
        |(source, taken): (&String, &TakenOut)| format!("known by now: {source}: {}", taken.text());
    known.iter().map(line).for_each(print_line);
}

/// Values that may be shown, by source, for `--json`.
pub(super) fn json(stored: &Stored) -> serde_json::Value {
    let sources = stored.by_source();
    let values = sources.iter().map(|(source, values)| {
        let shown = values.shown.iter().map(|shown| {
            serde_json::json!({
                "feed": shown.feed,
                "table": shown.value.table.as_str(),
                "value": shown.value.key(),
                "refused": shown.rows,
            })
        });
        (*source, shown.collect::<Vec<_>>())
    });
    serde_json::json!(values.collect::<BTreeMap<_, _>>())
}

fn texts(place: Place<'_>, values: &Values, has_keys: bool) -> Vec<String> {
    let source = place.source;
    let mut texts: Vec<String> = values
        .shown
        .iter()
        .take(MAX_NAMED)
        .map(|shown| format!("not known: {source}: {}", place.line(shown)))
        .collect();
    let more = values.shown.len().saturating_sub(MAX_NAMED) as u64 + values.hidden_values();
    if more == 0 {
        return texts;
    }
    let hidden = match values.hidden_values() {
        0 => String::new(),
        _ if !has_keys => " (the key ring, which opens them, cannot be read here)".to_owned(),
        hidden if hidden == more => ", long or rare, not shown".to_owned(),
        hidden => format!(", {hidden} of them long or rare, not shown"),
    };
    texts.push(format!(
        "not known: {source}: {}{hidden}; all that can be shown, as a block of configuration: \
         clinic-gateway codes {source}",
        counted(more, "more value", "more values")
    ));
    texts
}

#[cfg(test)]
mod tests {
    use pseudonym::{UnknownValue, ValueTable};

    use super::*;
    use crate::cli::unknown::{Hidden, Shown};

    #[test]
    fn the_most_frequent_values_are_named_and_the_command_for_the_rest() {
        let place = Place {
            source: "mis",
            kind: "postgres",
        };
        let shown = |word: &str, rows| Shown {
            feed: "vaccinations".into(),
            value: UnknownValue::from_text(ValueTable::Vaccines, &format!("\0{word}"))
                .expect("a value"),
            rows,
        };
        let mut values = Values {
            shown: vec![shown("Щука", 9), shown("Карп", 7)],
            hidden: Vec::new(),
        };
        let told = texts(place, &values, true);
        assert_eq!(told.len(), 2);
        assert_eq!(
            told[0],
            "not known: mis: vaccine «Щука» × 9: not known; write \"Щука\" = \"…\" under \
             [source.mis.policy.codes.vaccines]"
        );
        values.shown.extend([shown("Лещ", 6), shown("Сом", 5)]);
        values.hidden.push(Hidden {
            feed: "tests".into(),
            table: ValueTable::Tests,
            values: 4,
            rows: 4,
        });
        let told = texts(place, &values, true);
        assert_eq!(told.len(), 4);
        assert!(
            told[3].contains("5 more values, 4 of them long or rare, not shown")
                && told[3].ends_with("clinic-gateway codes mis"),
            "{}",
            told[3]
        );
        values.shown.clear();
        let told = texts(place, &values, false);
        assert!(told[0].contains("the key ring"), "{}", told[0]);
    }
}
