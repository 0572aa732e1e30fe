//! How many events fill a padded size: learnt from the sizes of the frames before.
//!
//! A batch is padded to one of a few sizes; what is not filled is sealed, stored, sent and stored
//! again for nothing. The number of events a batch is chosen for the size that costs least an
//! event; it depends on what events of this kind take when compressed, not on the page, so that a
//! page still shows no more than its full batches and the size of its last.

use contract::PADDED_SIZES_BYTES;

/// What a batch costs beside its bytes (a key exchange, a message, its rows), as bytes that cost as
/// much.
const BATCH_COST_BYTES: usize = 8192;

/// Of a padded size, what a frame is aimed at: 1/64 is left for events larger than those before.
const MARGIN: usize = 64;

/// Sizes of events are kept in 1/16 bytes.
pub(crate) const UNIT: usize = 16;

/// How many events a batch takes, and the size it fills with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) events: usize,
    pub(crate) padded_bytes: usize,
}

impl Fill {
    /// For events of that many 1/16 bytes, at most `most` a batch.
    pub(crate) fn of(event_size: u32, most: usize) -> Self {
        let event_size = usize::try_from(event_size).unwrap_or(usize::MAX).max(1);
        let fills = PADDED_SIZES_BYTES.map(|padded_bytes| {
            let aimed_at = padded_bytes - padded_bytes / MARGIN;
            Self {
                events: (aimed_at * UNIT / event_size).clamp(1, most),
                padded_bytes,
            }
        });
        // The dearest size is left aside before any is compared: in events a byte, as whole
        // numbers.
        let dearer = |one: &Self, other: &Self| {
            let one_cost = one.padded_bytes + BATCH_COST_BYTES;
            let other_cost = other.padded_bytes + BATCH_COST_BYTES;
            one_cost * other.events > other_cost * one.events
        };
        let mut best = fills[0];
        for fill in fills {
            // A size that even one event does not fit is no size for it.
            let fits = event_size <= best.padded_bytes * UNIT;
            if !fits || dearer(&best, &fill) {
                best = fill;
            }
        }
        best
    }

    /// How many events to try after so many came out at `framed_bytes`, more than the size holds.
    pub(crate) fn fewer(self, events: usize, framed_bytes: usize) -> usize {
        let aimed_at = self.padded_bytes - self.padded_bytes / (MARGIN / 2);
        (events * aimed_at / framed_bytes.max(1)).clamp(1, events.saturating_sub(1).max(1))
    }
}

/// The size of an event, in 1/16 bytes, where so many take `framed_bytes` together.
pub(crate) fn event_size(events: usize, framed_bytes: usize) -> u32 {
    u32::try_from((framed_bytes * UNIT).div_ceil(events.max(1))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(event_bytes: usize, most: usize) -> (usize, usize) {
        let Fill {
            events,
            padded_bytes,
        } = Fill::of(event_size(1, event_bytes), most);
        (events, padded_bytes >> 10)
    }

    #[test]
    fn size_is_chosen_that_costs_least_an_event() {
        assert_eq!(fill(150, 500), (430, 64));
        assert_eq!(
            fill(150, 1000),
            (430, 64),
            "1,000 would leave 256 KiB half empty"
        );
        assert_eq!(fill(300, 1000), (860, 256));
        assert_eq!(fill(300, 500), (215, 64));
        assert_eq!(
            fill(150, 250),
            (107, 16),
            "250 would leave 64 KiB half empty"
        );
        assert_eq!(
            fill(150, 10),
            (10, 4),
            "fewer than fill any size go into the smallest they fit"
        );
        assert_eq!(fill(100, 1), (1, 4));
    }

    #[test]
    fn large_events_get_a_size_they_fit() {
        assert_eq!(fill(30 << 10, 10).1, 256);
        assert_eq!(
            fill(3 << 20, 10),
            (1, 1024),
            "what fits none is refused by the seal"
        );
    }

    #[test]
    fn what_spilled_over_is_tried_with_fewer() {
        let fill = Fill::of(event_size(1, 150), 1000);
        let fewer = fill.fewer(430, 70_000);
        assert!((380..=395).contains(&fewer), "{fewer}");
        assert_eq!(fill.fewer(2, 65_600), 1);
        assert_eq!(fill.fewer(1, 70_000), 1);
        assert!(fill.fewer(430, 65_540) < 430);
    }
}
