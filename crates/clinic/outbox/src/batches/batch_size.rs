//! Number of events that fill a padded size, learnt from the sizes of the batches before.
//!
//! A batch is padded to one of a few sizes; padding is sealed, stored, sent and stored again for
//! nothing. The number of events a batch is chosen for the size that costs least an event; it
//! depends on the compressed size of events of this kind, not on the page, so that a page still
//! shows no more than its full batches and the size of its last.

use az::SaturatingAs as _;
use contract::PaddedSizes;

/// Cost of a batch beside its bytes (a key exchange, a message, its rows), as bytes that cost as
/// much.
const BATCH_COST_BYTES: usize = 8192;

/// Part of a padded size that is left for events larger than those before: 1/64.
const MARGIN: usize = 64;

/// Sizes of events are kept in 1/16 bytes.
pub(super) const UNIT: usize = 16;

/// Limits that the options set to a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// Most events.
    pub(super) events: usize,
    /// Sizes that batches are padded to.
    pub(super) sizes: PaddedSizes,
}

/// Number of events of a batch, and the size they fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchSize {
    pub(super) events: usize,
    pub(super) padded_bytes: usize,
}

impl BatchSize {
    /// Size for events of that many 1/16 bytes.
    pub(super) fn of(event_size: u32, limits: BatchLimits) -> Self {
        let event_size = event_size.saturating_as::<usize>().max(1);
        let mut sizes = limits.sizes.iter().map(|padded_bytes| {
            let target_bytes = padded_bytes - padded_bytes / MARGIN;
            Self {
                events: (target_bytes * UNIT / event_size).clamp(1, limits.events),
                padded_bytes,
            }
        });
        let mut best = sizes.next().expect("a set of padded sizes is never empty");
        for size in sizes {
            // A size that even one event does not fit is no size for it.
            let fits = event_size <= best.padded_bytes * UNIT;
            if !fits || best.costs_more_than(size) {
                best = size;
            }
        }
        best
    }

    /// Returns whether an event costs more in this size, compared in whole numbers.
    const fn costs_more_than(self, other: Self) -> bool {
        let cost = self.padded_bytes + BATCH_COST_BYTES;
        let other_cost = other.padded_bytes + BATCH_COST_BYTES;
        cost * other.events > other_cost * self.events
    }

    /// Number of events to try after so many came out at `framed_bytes`, more than the size holds.
    pub(super) fn fewer(self, events: usize, framed_bytes: usize) -> usize {
        let target_bytes = self.padded_bytes - self.padded_bytes / (MARGIN / 2);
        (events * target_bytes / framed_bytes.max(1)).clamp(1, events.saturating_sub(1).max(1))
    }
}

/// Size of an event, in 1/16 bytes, where so many take `framed_bytes` together.
pub(super) fn event_size(events: usize, framed_bytes: usize) -> u32 {
    (framed_bytes * UNIT)
        .div_ceil(events.max(1))
        .saturating_as()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_in(sizes: PaddedSizes, event_bytes: usize, events: usize) -> (usize, usize) {
        let limits = BatchLimits { events, sizes };
        let BatchSize {
            events,
            padded_bytes,
        } = BatchSize::of(event_size(1, event_bytes), limits);
        (events, padded_bytes >> 10)
    }

    fn size_of(event_bytes: usize, most: usize) -> (usize, usize) {
        size_in(PaddedSizes::ALL, event_bytes, most)
    }

    #[test]
    fn sizes_that_are_not_in_use_are_never_chosen() {
        let sizes = PaddedSizes::new(&[256 << 10]).unwrap();
        assert_eq!(size_in(sizes, 150, 1000), (1000, 256));
        assert_eq!(size_in(sizes, 150, 10), (10, 256));
        let sizes = PaddedSizes::new(&[16 << 10, 1 << 20]).unwrap();
        assert_eq!(size_in(sizes, 150, 100), (100, 16));
        assert_eq!(size_in(sizes, 30 << 10, 10), (10, 1024));
    }

    #[test]
    fn size_is_chosen_that_costs_least_an_event() {
        assert_eq!(size_of(150, 500), (430, 64));
        assert_eq!(
            size_of(150, 1000),
            (430, 64),
            "1,000 would leave 256 KiB half empty"
        );
        assert_eq!(size_of(300, 1000), (860, 256));
        assert_eq!(size_of(300, 500), (215, 64));
        assert_eq!(
            size_of(150, 250),
            (107, 16),
            "250 would leave 64 KiB half empty"
        );
        assert_eq!(
            size_of(150, 10),
            (10, 4),
            "fewer than fill any size go into the smallest they fit"
        );
        assert_eq!(size_of(100, 1), (1, 4));
    }

    #[test]
    fn large_events_get_a_size_they_fit() {
        assert_eq!(size_of(30 << 10, 10).1, 256);
        assert_eq!(
            size_of(3 << 20, 10),
            (1, 1024),
            "an event that fits none is refused by the seal"
        );
    }

    #[test]
    fn batch_that_came_out_too_large_is_tried_with_fewer_events() {
        let limits = BatchLimits {
            events: 1000,
            sizes: PaddedSizes::ALL,
        };
        let size = BatchSize::of(event_size(1, 150), limits);
        let fewer = size.fewer(430, 70_000);
        assert!((380..=395).contains(&fewer), "{fewer}");
        assert_eq!(size.fewer(2, 65_600), 1);
        assert_eq!(size.fewer(1, 70_000), 1);
        assert!(size.fewer(430, 65_540) < 430);
    }
}
