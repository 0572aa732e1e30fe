//! Count of what a sample's rows would become, as one sentence that a person can judge.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use connector_kit::{CheckReport, Feed, SampledRecord};
use pseudonym::{Pseudonymiser, RecordOutcome, RejectionReason};

use super::values;
use crate::cli::unknown;

/// Rows of a sample, by what they would become.
#[derive(Default)]
pub(super) struct Tally {
    rows: usize,
    leave: usize,
    /// Cancelled at the clinic.
    taken_back: usize,
    /// Planned, refused by the person, not over yet.
    no_facts: usize,
    out_of_scope: usize,
    /// Rows that would leave without a number of a dose, which cannot be read.
    doses_dropped: usize,
    refused: BTreeMap<RejectionReason, Refused>,
}

/// Rows refused for one reason, and the values that nobody has mapped.
#[derive(Default)]
struct Refused {
    rows: usize,
    values: unknown::Tally,
    /// Number of rows whose value is missing.
    empty: u64,
}

impl Tally {
    /// Lets a record become what it would in a pull, and counts the outcome.
    pub(super) fn add(
        &mut self,
        pseudonymiser: &Pseudonymiser,
        sampled: SampledRecord,
        today: NaiveDate,
    ) {
        let feed = sampled.record.fact.feed();
        self.rows += 1;
        match pseudonymiser.apply(sampled.record, today) {
            RecordOutcome::OutOfScope(_) => self.out_of_scope += 1,
            RecordOutcome::Draft(draft, _) if draft.only_if_sent => self.no_facts += 1,
            RecordOutcome::Draft(draft, _) if draft.body.withdraws() => self.taken_back += 1,
            RecordOutcome::Draft(_, warnings) => {
                self.leave += 1;
                self.doses_dropped += usize::from(warnings.doses_dropped > 0);
            }
            RecordOutcome::Rejected(rejection) => {
                let refused = self.refused.entry(rejection.reason).or_default();
                refused.rows += 1;
                match rejection.value {
                    Some(seen) => refused.values.add(feed.as_str(), seen),
                    None => refused.empty += 1,
                }
            }
        }
    }

    /// Says what the sample comes to: a warning where a row would be refused, or none would leave.
    pub(super) fn tell(&self, report: &mut CheckReport, feed: Feed, place: unknown::Place<'_>) {
        self.tell_counts(report, feed);
        for (reason, refused) in self.by_weight() {
            values::tell(report, feed, place, &refused.values.values());
            if *reason == RejectionReason::StatusUnknown && refused.empty > 0 {
                values::tell_empty_status(report, feed, place, refused.empty);
            }
        }
    }

    fn tell_counts(&self, report: &mut CheckReport, feed: Feed) {
        if self.rows == 0 {
            return;
        }
        let refused = self.refused();
        let sentence = self.sentence();
        if refused == 0 && self.leave > 0 {
            report.good(format!("{feed}: {sentence}"));
            return;
        }
        // A feed of which nothing leaves looks like one at rest.
        let nothing = if self.leave == 0 {
            "nothing would leave: "
        } else {
            ""
        };
        if refused == 0 {
            report.warn(
                format!("{feed}: {nothing}{sentence}"),
                "look at the query's conditions, status_words and the codes of the policy",
            );
            return;
        }
        let head = if refused >= self.leave {
            "HALF OR MORE WOULD BE REFUSED: "
        } else {
            ""
        };
        report.warn(format!("{feed}: {head}{nothing}{sentence}"), self.help());
    }

    fn refused(&self) -> usize {
        self.refused.values().map(|refused| refused.rows).sum()
    }

    fn sentence(&self) -> String {
        let mut sentence = format!(
            "of {} {} {} would leave, {} would be refused",
            self.rows,
            if self.rows == 1 { "row" } else { "rows" },
            self.leave,
            self.refused()
        );
        for (place, (reason, refused)) in self.by_weight().into_iter().enumerate() {
            sentence += if place == 0 { ": " } else { ", " };
            sentence += &format!("{} {}", refused.rows, phrase(*reason));
            sentence += &values::listed(*reason, &refused.values.values(), refused.empty);
        }
        let others = [
            (self.taken_back, "cancelled, so taken back"),
            (self.no_facts, "no facts (yet)"),
            (self.out_of_scope, "not about COVID-19"),
            (
                self.doses_dropped,
                "without a dose number that cannot be read (map its word in policy.codes.doses)",
            ),
        ];
        let others: Vec<String> = others
            .iter()
            .filter(|(rows, _)| *rows > 0)
            .map(|(rows, what)| format!("{rows} {what}"))
            .collect();
        if !others.is_empty() {
            sentence += &format!("; {}", others.join(", "));
        }
        sentence
    }

    /// Reasons, the most frequent first.
    fn by_weight(&self) -> Vec<(&RejectionReason, &Refused)> {
        let mut reasons: Vec<_> = self.refused.iter().collect();
        reasons.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.rows));
        reasons
    }

    fn help(&self) -> String {
        let reasons = self.by_weight();
        let first = reasons.first().map_or("", |(reason, _)| reason.help());
        format!("{first} `preview` shows such records one by one")
    }
}

/// Words for a reason, short enough to stand behind a number.
const fn phrase(reason: RejectionReason) -> &'static str {
    use RejectionReason as Reason;
    match reason {
        Reason::RecordUnreadable => "that cannot be read",
        Reason::PersonHidden => "hidden person",
        Reason::StatusUnknown => "unknown status",
        Reason::IdentifierMissing => "no identifier",
        Reason::IdentifierUnreadable => "unreadable identifier",
        Reason::IdentifierInvalid => "malformed identifier",
        Reason::IdentifierPlaceholder => "placeholder for an identifier",
        Reason::IdentifierCheckDigit => "mistyped identifier",
        Reason::IdentifierConflict => "two SNILS",
        Reason::CountryMissing => "passport without its country",
        Reason::CountryUnknown => "unknown country",
        Reason::VaccineUnknown => "unknown vaccine",
        Reason::TestUnknown => "unknown test",
        Reason::ResultUnknown => "unknown result",
        Reason::DiagnosisUnknown => "unknown diagnosis",
        Reason::CodeConflict => "contradicting codes",
        Reason::DoseInvalid => "impossible dose number",
        Reason::DateMissing => "no date",
        Reason::DateInvalid => "unreadable date",
        Reason::DateImpossible => "impossible date",
        Reason::DateFuture => "date in the future",
        other => other.as_str(),
    }
}
