//! Word for the state of a refused correction, as files, `--json` and metrics have it.

/// Expression over a `refused_correction` named `c`. A letter tells of those that no version is
/// left for to withdraw.
macro_rules! state_word {
    () => {
        "iif(c.state <> 'withdrawn' AND (EXISTS (SELECT 1 FROM dead_letter AS parked \
         WHERE parked.record = c.record AND parked.reason = 'versions-exhausted') \
         OR EXISTS (SELECT 1 FROM unlisted_refusal AS parked WHERE parked.record = c.record \
         AND parked.origin = 'registry' AND parked.reason = 'versions-exhausted')), 'parked', \
         iif(c.possible AND c.state = 'held', 'possible', c.state))"
    };
}
pub(crate) use state_word;
