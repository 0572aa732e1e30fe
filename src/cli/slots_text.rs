//! Sentences on the slots in which batches leave and on the dummies in them, for `status`, `check`
//! and `sync`.

use serde::Serialize;

use super::age::at_most;
use crate::config::Config;
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

/// Cost of dummies in a day in which nothing else leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct DummiesCost {
    #[serde(skip)]
    batches_per_slot: u32,
    /// Number of batches.
    pub(super) batches_a_day: u64,
    /// Bytes that they are padded to, without the seal's own.
    pub(super) bytes_a_day: u64,
    /// Number of tokens; 0 where batches carry none.
    pub(super) tokens_a_day: u64,
}

impl DummiesCost {
    /// Cost under this configuration; `None` where no dummies are sent.
    pub(super) fn of(config: &Config) -> Option<Self> {
        // Mistakes in either are refused with the file.
        let slots = config.release.slots().ok()??;
        let smallest = config.release.padded_sizes().ok()?.iter().next()?;
        let batches_a_day = slots.batches_a_day();
        let with_tokens = config.tokens.is_some();
        slots.dummies.then(|| Self {
            batches_per_slot: slots.batches,
            batches_a_day,
            bytes_a_day: batches_a_day.saturating_mul(smallest as u64),
            tokens_a_day: if with_tokens { batches_a_day } else { 0 },
        })
    }

    /// Says what dummies are for and what they cost.
    pub(super) fn text(&self) -> String {
        let tokens = match self.tokens_a_day {
            0 => String::new(),
            tokens => format!(" and {tokens} tokens"),
        };
        format!(
            "dummies fill every slot up to {} batches{}; of a day without facts that makes {} \
             dummies, {} MiB{tokens}. They are no facts, and none waits or is sent twice",
            self.batches_per_slot,
            if self.tokens_a_day == 0 {
                ""
            } else {
                " while there are tokens for them (gateway_dummies_total{outcome=\"no-token\"})"
            },
            self.batches_a_day,
            self.bytes_a_day.div_ceil(1 << 20)
        )
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
            dummies: false,
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

    #[test]
    fn dummies_say_what_they_cost_in_a_day() {
        let cost = DummiesCost {
            batches_per_slot: 8,
            batches_a_day: 768,
            bytes_a_day: 768 << 16,
            tokens_a_day: 0,
        };
        let text = cost.text();
        assert!(
            text.starts_with("dummies fill every slot up to 8 batches")
                && text.contains("768 dummies, 48 MiB."),
            "{text}"
        );
        let with_tokens = DummiesCost {
            tokens_a_day: 768,
            ..cost
        };
        let text = with_tokens.text();
        assert!(text.contains("48 MiB and 768 tokens."), "{text}");
    }
}
