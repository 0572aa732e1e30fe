//! Parts of a batch that is too much for one transaction.

use std::ops::Range;

use linking::OpenBatch;

use crate::store::Applied;

/// Parts of a batch that are stored.
pub(super) struct StoredParts {
    /// Number of their events.
    pub done: usize,
    /// Largest number of events of the next part.
    pub size: usize,
    /// Result of the parts; its counts and answers are the batch's in the end.
    pub applied: Applied,
}

/// Part of a batch; the first has all its refusals.
pub(super) fn part(batch: &OpenBatch, events: Range<usize>) -> OpenBatch {
    OpenBatch {
        id: batch.id,
        name: batch.name,
        tokens: batch.tokens,
        refusals: if events.start == 0 {
            batch.refusals.clone()
        } else {
            Vec::new()
        },
        events: batch.events[events].to_vec(),
    }
}

/// Adds what became of one more part of a batch.
pub(super) fn add(before: Option<Applied>, part: Applied) -> Applied {
    let Some(mut whole) = before else {
        return part;
    };
    whole.outcome += part.outcome;
    whole.replayed = whole.replayed.max(part.replayed);
    for (answer, more) in whole.answers.iter_mut().zip(part.answers) {
        answer.accepted += more.accepted;
        answer.refused.extend(more.refused);
        answer.refused.sort_unstable_by_key(|refused| refused.index);
        answer.superseded.extend(more.superseded);
        answer
            .superseded
            .sort_unstable_by_key(|superseded| superseded.record);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{BatchId, RecordDigest, RefusalReason, RefusedEvent, StoredAnswer, Superseded};
    use linking::{EventRefusal, GroupOutcome};

    #[test]
    fn the_answers_of_parts_make_the_answer_of_the_whole() {
        let refused = |index| RefusedEvent {
            index,
            record: None,
            version: None,
            reason: RefusalReason::Malformed,
        };
        let superseded = |record| Superseded {
            record: RecordDigest([record; 32]),
            held: contract::Version::MAX,
        };
        let answered = |index, record| Applied {
            outcome: GroupOutcome {
                applied: 1,
                ..GroupOutcome::default()
            },
            answers: vec![StoredAnswer {
                accepted: 2,
                refused: vec![refused(index)],
                superseded: vec![superseded(record)],
            }],
            replayed: 0,
        };
        let first = add(None, answered(7, 2));
        let whole = add(Some(first), answered(3, 1));
        assert_eq!(whole.outcome.applied, 2);
        let answer = StoredAnswer {
            accepted: 4,
            refused: vec![refused(3), refused(7)],
            superseded: vec![superseded(1), superseded(2)],
        };
        assert_eq!(whole.answers, [answer]);
    }

    #[test]
    fn refusals_go_with_the_first_part() {
        let id = BatchId([1; 16]);
        let refusal = EventRefusal {
            batch: id,
            index: 0,
            record: None,
            version: None,
            reason: RefusalReason::Malformed,
        };
        let batch = OpenBatch {
            id,
            name: None,
            tokens: None,
            events: Vec::new(),
            refusals: vec![refusal],
        };
        assert_eq!(part(&batch, 0..0), batch);
    }
}
