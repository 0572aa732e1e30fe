//! Notices a source whose pages never end: a cursor that comes again.

use connector_kit::{Cursor, CycleDetector};

/// Cycle detection over the cursors of one run.
#[derive(Debug, Default)]
pub(crate) struct Endless {
    cycle: CycleDetector<Cursor>,
}

/// The code of such a failure in `status` and metrics.
pub(crate) const CODE: &str = outbox::SOURCE_ENDLESS;

impl Endless {
    /// Takes the cursor of the next page.
    ///
    /// # Errors
    /// Once the cursors go round in a cycle, after at most three times its length.
    pub(crate) fn advance(&mut self, next: &Cursor) -> Result<(), EndlessSource> {
        if self.cycle.remembered() == Some(next) {
            return Err(EndlessSource);
        }
        self.cycle.advance(next);
        Ok(())
    }
}

/// The pages of a run come again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the source's pages never end: a page that was read in this run came again; see that the \
     query's or the server's \
     order is fixed and that no two rows share a record_id"
)]
pub struct EndlessSource;

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(number: u64) -> Cursor {
        Cursor::new(number.to_string()).expect("short")
    }

    #[test]
    fn cursors_that_rise_are_let_pass_and_circles_are_noticed_soon() {
        let mut rising = Endless::default();
        assert!((0..10_000).all(|number| rising.advance(&cursor(number)).is_ok()));
        for (before, length) in [(0, 1), (0, 2), (5, 1), (5, 7), (100, 33)] {
            let mut endless = Endless::default();
            let pages = (0..before).chain((0..length).map(|number| 1_000_000 + number).cycle());
            let read = pages
                .take_while(|number| endless.advance(&cursor(*number)).is_ok())
                .count();
            let most = usize::try_from(3 * (before + length) + 3).expect("small");
            assert!(
                read <= most,
                "{read} pages before a circle of {length} after {before} was noticed"
            );
        }
    }
}
