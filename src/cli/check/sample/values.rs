//! Values that nobody has mapped, as `check` names them on the operator's terminal.

use std::collections::BTreeMap;

use connector_kit::{ClinicFact, Coding, SampledRecord};
use program::terminal::visible;
use pseudonym::RejectionReason;

/// Most distinct values that are named for one reason.
const MAX_NAMED: usize = 10;

/// Most characters of a value that are shown.
const MAX_CHARS: usize = 60;

/// Digits in a row, blanks and hyphens between them included, that a number of a person may have.
const MAX_DIGITS: usize = 8;

/// Values of a record that a mapping could lack, before the record becomes an event.
pub(super) struct Named {
    status: Option<String>,
    codes: BTreeMap<RejectionReason, String>,
}

impl Named {
    pub(super) fn of(sampled: &SampledRecord) -> Self {
        use RejectionReason as Reason;
        let mut codes = BTreeMap::new();
        match &sampled.record.fact {
            ClinicFact::Vaccination { vaccine, .. } => {
                codes.insert(Reason::VaccineUnknown, first(vaccine));
                codes.insert(Reason::CodeConflict, all(vaccine));
            }
            ClinicFact::Test { test, result, .. } => {
                codes.insert(Reason::TestUnknown, first(test));
                codes.insert(Reason::ResultUnknown, first(result));
            }
            ClinicFact::Recovery { diagnosis, .. } => {
                codes.insert(Reason::DiagnosisUnknown, first(diagnosis));
                codes.insert(Reason::CodeConflict, all(diagnosis));
            }
        }
        Self {
            status: sampled.record.unmapped_status.as_deref().map(shown),
            codes,
        }
    }

    /// The value that a reason is about.
    pub(super) fn value(mut self, reason: RejectionReason) -> Option<String> {
        match reason {
            RejectionReason::StatusUnknown => self.status,
            other => self.codes.remove(&other),
        }
    }
}

/// The coding that stands first, as a key of `[source.NAME.policy.codes]` names it.
fn first(codings: &[Coding]) -> String {
    codings.first().map_or_else(|| shown(""), key)
}

fn all(codings: &[Coding]) -> String {
    let keys: Vec<String> = codings.iter().take(3).map(key).collect();
    keys.join(" beside ")
}

fn key(coding: &Coding) -> String {
    match coding.system.as_deref() {
        // Codes of a code system may be long numbers, and are nobody's.
        Some(system) if is_uri(system) => quoted(&format!("{system}|{}", coding.code)),
        _ => shown(&coding.code),
    }
}

fn is_uri(system: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-#?=&~+".contains(&byte);
    system.contains(':') && system.bytes().all(fits)
}

/// A word of the clinic's own, cut; with a number in it that could be a person's it is not
/// repeated.
fn shown(word: &str) -> String {
    let is_number = |part: &str| part.chars().filter(char::is_ascii_digit).count() > MAX_DIGITS;
    let mut parts = word.split(|char: char| !(char.is_ascii_digit() || " -".contains(char)));
    match word.trim() {
        "" => "(empty)".to_owned(),
        _ if parts.any(is_number) => "(one with a long number in it)".to_owned(),
        word => quoted(word),
    }
}

fn quoted(word: &str) -> String {
    let mut cut: String = word.chars().take(MAX_CHARS).collect();
    if cut.len() < word.len() {
        cut.push('…');
    }
    format!("\"{}\"", visible(&cut))
}

/// Distinct values, with the number of rows that have each.
#[derive(Default)]
pub(super) struct Values(BTreeMap<String, usize>);

impl Extend<String> for Values {
    fn extend<I: IntoIterator<Item = String>>(&mut self, values: I) {
        for value in values {
            *self.0.entry(value).or_default() += 1;
        }
    }
}

impl Values {
    /// The values in parentheses, the most frequent first; nothing where there are none.
    pub(super) fn listed(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut values: Vec<_> = self.0.iter().collect();
        values.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
        let mut named: Vec<String> = values
            .iter()
            .take(MAX_NAMED)
            .map(|(value, rows)| format!("{value} {rows}"))
            .collect();
        if values.len() > MAX_NAMED {
            named.push(format!("{} more values", values.len() - MAX_NAMED));
        }
        format!(" ({})", named.join(", "))
    }
}
