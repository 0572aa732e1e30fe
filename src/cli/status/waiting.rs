//! Lines on what waits for an operator: parked records, and a raise of the generation.

use chrono::{DateTime, Utc};
use outbox::{
    DeadLetterCount, FOREIGN_VERSION, OutboxError, RaiseWaits, SUPERSEDED, Status, VERSION_REUSED,
    VERSIONS_EXHAUSTED,
};
use program::terminal::counted;

use crate::cli::age::ago;

/// Reasons for which a record is parked.
const PARKED: [&str; 4] = [
    SUPERSEDED,
    VERSION_REUSED,
    FOREIGN_VERSION,
    VERSIONS_EXHAUSTED,
];

/// Line with the number of records whose latest word cannot hold at the registry; none if there are
/// none.
pub(super) fn parked_text(counts: &[DeadLetterCount]) -> Option<String> {
    let parked: u64 = counts
        .iter()
        .filter(|count| PARKED.contains(&count.reason.as_str()))
        .map(|count| count.count)
        .sum();
    (parked > 0).then(|| {
        format!(
            "parked: {} cannot be sent above the registry's for now; `clinic-gateway dead-letters \
             list` says why",
            counted(parked, "record", "records")
        )
    })
}

/// Line on another gateway that was found to run on a copy of this state; none usually.
pub(super) fn other_gateway_text(
    found_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<String> {
    let found_at = found_at?;
    Some(format!(
        "STOPPED: {}: {}",
        ago(now, Some(found_at)),
        OutboxError::OtherGateway
    ))
}

/// Line on the last raise of the generation: when and why; none before the first.
pub(super) fn raised_text(status: &Status, now: DateTime<Utc>) -> Option<String> {
    let raised_at = status.generation_raised_at?;
    let why = status.generation_raised_why.as_deref()?;
    Some(format!(
        "generation: rose to {} {}: {why}",
        status.generation,
        ago(now, Some(raised_at))
    ))
}

/// Line on a raise of the generation that waits for a day to pass, or for an operator.
pub(super) fn raise_text(waits: RaiseWaits, now: DateTime<Utc>) -> String {
    let when = match waits.permitted_at {
        Some(at) if at > now => format!("not before {}", at.format("%F %T UTC")),
        _ => "as soon as the gateway runs".to_owned(),
    };
    let needed = waits.needed;
    format!(
        "generation: {needed} is needed, since the registry holds versions that this state never \
         gave out. Receipts of records raise it by one a day, {when}; one of the beacon raises it \
         at once. To raise it at once, set \
         min_generation = {needed} in [outbox] and restart, or run `clinic-gateway reconcile \
         --repair`"
    )
}

#[cfg(test)]
mod tests {
    use outbox::Origin;

    use super::*;

    #[test]
    fn parked_records_are_counted_over_their_reasons() {
        let count = |reason: &str, count| DeadLetterCount {
            source: "mis".into(),
            feed: "tests".into(),
            origin: Origin::Registry,
            reason: reason.into(),
            count,
            unlisted: 0,
        };
        let counts = [
            count("registry:bad-date", 9),
            count(SUPERSEDED, 1),
            count(VERSIONS_EXHAUSTED, 2),
            count(VERSION_REUSED, 4),
        ];
        assert_eq!(parked_text(&counts[..1]), None);
        let text = parked_text(&counts).expect("seven are parked");
        assert!(text.starts_with("parked: 7 records"), "{text}");
    }

    #[test]
    fn raise_that_waits_says_until_when_and_how_not_to_wait() {
        let at = DateTime::from_timestamp(1_625_140_800, 0).expect("a moment");
        let waits = RaiseWaits {
            needed: 7,
            permitted_at: Some(at),
        };
        let early = raise_text(waits, at - chrono::TimeDelta::seconds(1));
        assert!(
            early.contains("not before 2021-07-01 12:00:00 UTC")
                && early.contains("min_generation = 7"),
            "{early}"
        );
        let due = raise_text(waits, at);
        assert!(due.contains("as soon as the gateway runs"), "{due}");
    }
}
