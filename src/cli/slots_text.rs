//! Sentences on the slots in which batches leave, for `status`, `check` and `sync`.

use super::age::at_most;
use crate::slots::SlotRules;

/// Says when batches leave.
pub(super) fn rules_text(slots: SlotRules) -> String {
    let jitter = match slots.jitter_seconds {
        0 => String::new(),
        seconds => format!(", up to {seconds} s late"),
    };
    format!(
        "at most {} batches leave every {} s{jitter}",
        slots.batches, slots.slot_seconds
    )
}

/// Says until when the batches that wait have left.
pub(super) fn forecast_text(slots: SlotRules, waiting: u64) -> String {
    match waiting {
        0 => "none waits".to_owned(),
        1 => format!(
            "the one that waits has left within {} if the queue takes it",
            at_most(slots.longest_wait(1))
        ),
        waiting => format!(
            "the {waiting} that wait have left within {} if the queue takes them",
            at_most(slots.longest_wait(waiting))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_is_forecast_from_the_slots() {
        let slots = SlotRules {
            slot_seconds: 900,
            jitter_seconds: 300,
            batches: 8,
        };
        assert_eq!(
            rules_text(slots),
            "at most 8 batches leave every 900 s, up to 300 s late"
        );
        assert_eq!(forecast_text(slots, 0), "none waits");
        assert_eq!(
            forecast_text(slots, 1),
            "the one that waits has left within 20 min if the queue takes it"
        );
        assert_eq!(
            forecast_text(slots, 140),
            "the 140 that wait have left within 6 h if the queue takes them"
        );
    }
}
