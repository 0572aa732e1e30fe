//! The block of configuration that `codes` prints. Every line is a comment: nothing is decided by
//! pasting it.

use std::collections::{BTreeMap, BTreeSet};

use program::terminal::counted;
use pseudonym::{PolicyConfig, Pseudonymiser, UnknownValue, ValueTable};
use serde_json::json;

use crate::cli::unknown::{EMPTY_STATUS_LINE, Place, TakenOut, Values, quoted};

/// Everything that is told of a source's values.
pub(super) struct Block<'a> {
    pub(super) place: Place<'a>,
    pub(super) pseudonymiser: &'a Pseudonymiser,
    /// Tables that the configuration has entries in already.
    pub(super) mapped: BTreeSet<ValueTable>,
    /// Values that rows are refused for.
    pub(super) refused: Values,
    /// Number of rows that are refused for an empty value, or for one that is not kept.
    pub(super) without_value: u64,
    /// Number of those among them that are refused for their status, by feed.
    pub(super) empty_status: BTreeMap<String, u64>,
    /// True if nothing of the source was ever read.
    pub(super) is_new: bool,
    /// Values that rows are refused for, and that the configuration maps by now.
    pub(super) known: TakenOut,
    /// Values of records that were read just now.
    pub(super) read: Option<Values>,
    /// Number of those records.
    pub(super) rows_read: u64,
    /// Number of those without a word for their status, by feed.
    pub(super) empty_status_read: BTreeMap<&'static str, u64>,
}

/// Tables that the policy has entries in.
pub(super) fn mapped_tables(policy: &PolicyConfig) -> BTreeSet<ValueTable> {
    let codes = &policy.codes;
    [
        (ValueTable::Vaccines, codes.vaccines.is_empty()),
        (ValueTable::Tests, codes.tests.is_empty()),
        (ValueTable::Results, codes.results.is_empty()),
        (ValueTable::Diagnoses, codes.diagnoses.is_empty()),
    ]
    .into_iter()
    .filter(|(_, is_empty)| !is_empty)
    .map(|(table, _)| table)
    .collect()
}

/// Rows without a word for their status.
struct EmptyStatus<'v> {
    feed: &'v str,
    /// Section of the configuration that has the feed's `status_words`.
    section: String,
    refused: u64,
    read: u64,
}

/// A value with the numbers of its rows.
struct Entry<'v> {
    value: &'v UnknownValue,
    feed: &'v str,
    refused: u64,
    read: u64,
}

impl Block<'_> {
    /// Entries by their section of the configuration, the most frequent first.
    fn sections(&self) -> BTreeMap<(ValueTable, String), Vec<Entry<'_>>> {
        let mut entries: BTreeMap<(ValueTable, String, String), Entry<'_>> = BTreeMap::new();
        let refused = self.refused.shown.iter().map(|shown| (shown, false));
        let read = self.read.iter().flat_map(|values| &values.shown);
        for (shown, is_read) in refused.chain(read.map(|shown| (shown, true))) {
            let table = shown.value.table;
            let section = self.place.table(table, &shown.feed).unwrap_or_default();
            let key = (table, section, shown.value.key());
            let entry = entries.entry(key).or_insert(Entry {
                value: &shown.value,
                feed: &shown.feed,
                refused: 0,
                read: 0,
            });
            let rows = if is_read {
                &mut entry.read
            } else {
                &mut entry.refused
            };
            *rows += shown.rows;
        }
        let mut sections: BTreeMap<(ValueTable, String), Vec<Entry<'_>>> = BTreeMap::new();
        for ((table, section, _), entry) in entries {
            sections.entry((table, section)).or_default().push(entry);
        }
        for entries in sections.values_mut() {
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.refused.max(entry.read)));
        }
        sections
    }

    /// Feeds with rows that have no word for their status, where configuration can map that.
    fn empty_statuses(&self) -> Vec<EmptyStatus<'_>> {
        let feeds = self.empty_status.keys().map(String::as_str);
        let feeds: BTreeSet<&str> = feeds
            .chain(self.empty_status_read.keys().copied())
            .collect();
        let empty = feeds.into_iter().filter_map(|feed| {
            Some(EmptyStatus {
                feed,
                section: self.place.table(ValueTable::Status, feed)?,
                refused: self.empty_status.get(feed).copied().unwrap_or(0),
                read: self.empty_status_read.get(feed).copied().unwrap_or(0),
            })
        });
        empty.collect()
    }

    /// The block, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut sections = self.sections();
        let empty = self.empty_statuses();
        for EmptyStatus { section, .. } in &empty {
            let key = (ValueTable::Status, section.clone());
            sections.entry(key).or_default();
        }
        let mut lines = self.head(sections.is_empty());
        for ((table, section), entries) in &sections {
            lines.push(String::new());
            lines.extend(self.section_lines(*table, section, entries));
            let of_section = |empty: &&EmptyStatus<'_>| {
                *table == ValueTable::Status && empty.section == *section
            };
            for empty in empty.iter().filter(of_section) {
                let counts = self.counts(empty.refused, empty.read).join("; ");
                lines.push(format!(
                    "# {counts}; the status is empty (NULL), or unreadable"
                ));
                lines.push(format!("# {EMPTY_STATUS_LINE}"));
            }
        }
        let notes = self.notes();
        if !notes.is_empty() {
            lines.push(String::new());
        }
        lines.extend(notes.into_iter().map(|note| format!("# {note}")));
        lines
    }

    fn head(&self, is_empty: bool) -> Vec<String> {
        let source = self.place.source;
        let of = match &self.read {
            None => "of its dead letters".to_owned(),
            Some(_) => format!(
                "of its dead letters, and of {} read just now",
                counted(self.rows_read, "record", "records")
            ),
        };
        if is_empty {
            let first = if self.is_new && self.read.is_none() {
                format!("# Source {source}: nothing of it has been read yet, so no row is refused.")
            } else {
                format!("# Source {source}: no value {of} can be shown that nobody has mapped.")
            };
            let hint = self.read.is_none().then(|| {
                format!(
                    "# `clinic-gateway codes {source} --read` reads records for their values, and \
                     stores and sends nothing."
                )
            });
            return std::iter::once(first).chain(hint).collect();
        }
        vec![
            format!("# Source {source}: values {of} that nobody has mapped."),
            "# Every line is a comment, so that pasting this decides nothing. To map a value, take \
             the # away"
                .to_owned(),
            "# and write a target for the …: with the … the configuration is refused. A line that \
             stays a comment"
                .to_owned(),
            "# leaves its rows refused.".to_owned(),
        ]
    }

    fn section_lines(
        &self,
        table: ValueTable,
        section: &str,
        entries: &[Entry<'_>],
    ) -> Vec<String> {
        let mut lines = vec![self.section_head(table, section)];
        let targets = table.targets();
        if !targets.is_empty() && !section.is_empty() {
            lines.push(format!("# targets: {}", targets.join(", ")));
        }
        for entry in entries {
            lines.push(format!("# {}", self.entry_text(entry)));
            let key = quoted(&entry.value.key());
            lines.push(if section.is_empty() {
                format!("#   {key}")
            } else if entry.value.can_be_key() {
                format!("# {key} = \"…\"")
            } else {
                format!("#   {key} holds a |: map it in the source's query")
            });
        }
        lines
    }

    fn section_head(&self, table: ValueTable, section: &str) -> String {
        match table {
            ValueTable::Conflicts => {
                "# Codes side by side that mean different things: correct the records, or map one \
                 of the codes"
                    .to_owned()
            }
            ValueTable::Status if section.is_empty() => {
                "# Words of a status that is none of FHIR's: correct them at the clinic".to_owned()
            }
            ValueTable::Status => format!("# for status_words of [{section}]:"),
            table if self.mapped.contains(&table) => {
                format!("# for [{section}], which the configuration has already:")
            }
            _ => format!("[{section}]"),
        }
    }

    fn entry_text(&self, entry: &Entry<'_>) -> String {
        let mut parts = self.counts(entry.refused, entry.read);
        let nearest = self.pseudonymiser.nearest_target(entry.value);
        parts.extend(nearest.map(|target| format!("nearest listed name: {target}")));
        parts.join("; ")
    }

    /// Numbers of rows in words, those that are not 0.
    fn counts(&self, refused: u64, read: u64) -> Vec<String> {
        let mut parts = Vec::new();
        if refused > 0 {
            let rows = if refused == 1 { "row" } else { "rows" };
            parts.push(format!("× {refused} {rows} refused"));
        }
        if read > 0 {
            let records = counted(self.rows_read, "record read", "records read");
            parts.push(format!("× {read} of the {records}"));
        }
        parts
    }

    /// What is not in the block, and why.
    fn notes(&self) -> Vec<String> {
        let source = self.place.source;
        let mut notes = Vec::new();
        let hidden = |values: &Values, rows: &str| {
            (values.hidden_values() > 0).then(|| {
                format!(
                    "{} long or rare, not shown, × {} {rows}: a value is shown once 3 \
                     persons have it, if it is one printable line of at most {} characters \
                     without a long number",
                    counted(values.hidden_values(), "value that is", "values that are"),
                    values.hidden_rows(),
                    pseudonym::MAX_VALUE_CHARS,
                )
            })
        };
        notes.extend(hidden(&self.refused, "rows refused"));
        notes.extend(
            self.read
                .as_ref()
                .and_then(|read| hidden(read, "records read")),
        );
        let told = self
            .empty_statuses()
            .iter()
            .map(|empty| empty.refused)
            .sum();
        let without_value = self.without_value.saturating_sub(told);
        if without_value > 0 {
            notes.push(format!(
                "{} for an empty value, or for one that is not kept; `clinic-gateway dead-letters \
                 retry --source {source} --reason …` reads such rows again and keeps their values",
                counted(without_value, "row is refused", "rows are refused")
            ));
        }
        if self.known.values > 0 {
            notes.push(self.known.text());
        }
        notes
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        let sections = self.sections();
        let values = sections.iter().flat_map(|((table, section), entries)| {
            entries.iter().map(move |entry| {
                json!({
                    "table": table.as_str(),
                    "feed": entry.feed,
                    "section": (!section.is_empty()).then_some(section),
                    "key": entry.value.key(),
                    "refused": entry.refused,
                    "read": entry.read,
                    "nearest": self.pseudonymiser.nearest_target(entry.value),
                })
            })
        });
        let hidden = |values: &Values| {
            let hidden = values.hidden.iter();
            hidden
                .map(|it| {
                    json!({
                        "table": it.table.as_str(), "feed": it.feed, "values": it.values,
                        "rows": it.rows,
                    })
                })
                .collect::<Vec<_>>()
        };
        json!({
            "source": self.place.source,
            "values": values.collect::<Vec<_>>(),
            "not_shown": hidden(&self.refused),
            "not_shown_of_read": self.read.as_ref().map(hidden),
            "records_read": self.read.as_ref().map(|_| self.rows_read),
            "refused_without_value": self.without_value,
            "empty_status": self.empty_statuses().iter().map(|empty| json!({
                "feed": empty.feed,
                "section": empty.section,
                "refused": empty.refused,
                "read": empty.read,
            })).collect::<Vec<_>>(),
            "known_now": { "values": self.known.values, "rows": self.known.rows },
        })
    }
}

#[cfg(test)]
mod tests;
