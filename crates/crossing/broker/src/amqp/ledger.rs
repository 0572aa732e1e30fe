//! Messages on their way over one connection with the callers that wait for them, and confirms that
//! came when no caller waited any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use contract::BatchId;

use super::message::{OutgoingMessage, PublishRequest, Reply};
use crate::BrokerError;

/// Bytes waiting for their confirm above which no further message is handed over, so at most one
/// message more is on the way. At the default confirm timeout of 30 s an uplink of 300 kbit/s
/// carries them in time; a faster one needs several times less to be kept busy.
const MAX_IN_FLIGHT_BYTES: usize = 1024 * 1024;
/// Number of confirms remembered for callers that gave up. Callers come again soon; a confirm
/// forgotten costs a duplicate.
const MAX_LATE: usize = 4096;

/// Id and content hash of a message: the id alone may be anything on a dead letter.
type MessageKey = (BatchId, u64);

/// Confirms that reached no caller. Lives as long as the publisher, whatever becomes of its
/// connections.
#[derive(Debug, Default)]
pub(super) struct LateConfirms {
    hasher: RandomState,
    known: HashSet<MessageKey>,
    /// Keys of `known`, the oldest first.
    order: VecDeque<MessageKey>,
}

impl LateConfirms {
    fn key(&self, message: &OutgoingMessage) -> MessageKey {
        (
            message.id,
            self.hasher.hash_one((&message.bytes, &message.reason)),
        )
    }

    fn put(&mut self, key: MessageKey) {
        if self.known.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > MAX_LATE
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Removes a confirm: it answers one caller. Publishing the same message again later is a wish
    /// to have it sent again.
    fn take(&mut self, key: MessageKey) -> bool {
        let known = self.known.remove(&key);
        if known {
            self.order.retain(|other| *other != key);
        }
        known
    }
}

/// A message handed to the connection and not confirmed.
#[derive(Debug)]
struct Unconfirmed {
    key: MessageKey,
    bytes: usize,
    /// True if the broker gave it back: no queue took it.
    returned: bool,
    replies: Vec<Reply>,
}

/// Messages on their way over one connection, each under a number.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    late: &'a mut LateConfirms,
    unconfirmed: HashMap<u64, Unconfirmed>,
    unconfirmed_bytes: usize,
    next_number: u64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(late: &'a mut LateConfirms) -> Self {
        Self {
            late,
            unconfirmed: HashMap::new(),
            unconfirmed_bytes: 0,
            next_number: 0,
        }
    }

    pub(super) fn has_room(&self, window: usize) -> bool {
        self.unconfirmed.len() < window && self.unconfirmed_bytes < MAX_IN_FLIGHT_BYTES
    }

    /// Takes a request, and returns its message to be sent now, under its number; `None` when
    /// nobody waits for it, when it was confirmed after its caller had given up, and when it is on
    /// its way already: its next confirm answers this caller too.
    pub(super) fn admit(&mut self, request: PublishRequest) -> Option<(u64, OutgoingMessage)> {
        let PublishRequest {
            message,
            handed_over,
            reply,
        } = request;
        if reply.is_closed() {
            return None;
        }
        // The caller's time for the confirm begins; it may be gone, which the reply will tell.
        handed_over.send(()).ok();
        let key = self.late.key(&message);
        if self.late.take(key) {
            if reply.send(Ok(())).is_err() {
                self.late.put(key);
            }
            return None;
        }
        if let Some(same) = self.unconfirmed.values_mut().find(|sent| sent.key == key) {
            same.replies.retain(|reply| !reply.is_closed());
            same.replies.push(reply);
            return None;
        }
        let number = self.next_number;
        let sent = Unconfirmed {
            key,
            bytes: message.bytes.len(),
            returned: false,
            replies: vec![reply],
        };
        self.next_number += 1;
        self.unconfirmed_bytes += sent.bytes;
        self.unconfirmed.insert(number, sent);
        Some((number, message))
    }

    /// Notes that the broker gave a message back, unless it was settled before.
    pub(super) fn mark_returned(&mut self, id: BatchId) {
        for sent in self.unconfirmed.values_mut() {
            sent.returned |= sent.key.0 == id;
        }
    }

    /// Notes that some message came back, and nobody knows which.
    pub(super) fn mark_all_returned(&mut self) {
        for sent in self.unconfirmed.values_mut() {
            sent.returned = true;
        }
    }

    /// Returns whether this very message came back.
    pub(super) fn is_returned(&self, number: u64) -> bool {
        self.unconfirmed
            .get(&number)
            .is_some_and(|sent| sent.returned)
    }

    /// Answers every caller that waits; a success that reaches none is kept for the next that asks.
    pub(super) fn settle(&mut self, number: u64, outcome: &Result<(), BrokerError>) {
        let Some(sent) = self.unconfirmed.remove(&number) else {
            return;
        };
        self.unconfirmed_bytes -= sent.bytes;
        let mut reached = false;
        for reply in sent.replies {
            reached |= reply.send(outcome.clone()).is_ok();
        }
        if !reached && outcome.is_ok() {
            self.late.put(sent.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    type Outcome = oneshot::Receiver<Result<(), BrokerError>>;

    fn request(id: u8, bytes: &[u8]) -> (PublishRequest, Outcome) {
        let (handed_over, _) = oneshot::channel();
        let (reply, outcome) = oneshot::channel();
        let message = OutgoingMessage {
            id: BatchId([id; 16]),
            bytes: bytes.to_vec(),
            reason: None,
        };
        let request = PublishRequest {
            message,
            handed_over,
            reply,
        };
        (request, outcome)
    }

    #[test]
    fn a_confirm_that_reached_nobody_answers_the_next_caller_once() {
        let mut late = LateConfirms::default();
        let mut ledger = Ledger::new(&mut late);
        let (asked, outcome) = request(1, b"one");
        let (number, _) = ledger.admit(asked).unwrap();
        drop(outcome);
        ledger.settle(number, &Ok(()));
        // Another connection since.
        let mut ledger = Ledger::new(&mut late);
        let (other, _outcome) = request(1, b"other bytes under the same id");
        assert!(ledger.admit(other).is_some(), "that was never sent");
        let (again, mut outcome) = request(1, b"one");
        assert!(ledger.admit(again).is_none());
        assert_eq!(outcome.try_recv().unwrap(), Ok(()));
        let (anew, _outcome) = request(1, b"one");
        assert!(ledger.admit(anew).is_some());
    }

    #[test]
    fn only_a_success_that_reached_nobody_is_kept() {
        let mut late = LateConfirms::default();
        let mut ledger = Ledger::new(&mut late);
        for outcome in [Err(BrokerError::retry("nack")), Ok(())] {
            let (asked, waiting) = request(1, b"one");
            let (number, _) = ledger.admit(asked).unwrap();
            let waiting = outcome.is_ok().then_some(waiting);
            ledger.settle(number, &outcome);
            drop(waiting);
        }
        let (abandoned, outcome) = request(1, b"one");
        drop(outcome);
        assert!(
            ledger.admit(abandoned).is_none(),
            "nobody waits for this one"
        );
        let (asked, _outcome) = request(1, b"one");
        assert!(ledger.admit(asked).is_some());
    }

    #[test]
    fn who_asks_for_what_is_on_its_way_waits_for_that() {
        let mut late = LateConfirms::default();
        let mut ledger = Ledger::new(&mut late);
        let (first, outcome) = request(1, b"one");
        let (number, _) = ledger.admit(first).unwrap();
        drop(outcome);
        let (second, mut outcome) = request(1, b"one");
        assert!(ledger.admit(second).is_none(), "no second copy");
        ledger.settle(number, &Ok(()));
        assert_eq!(outcome.try_recv().unwrap(), Ok(()));
        assert!(late.known.is_empty() && late.order.is_empty());
    }

    #[test]
    fn bytes_in_flight_are_bounded_and_a_large_message_still_goes() {
        let mut late = LateConfirms::default();
        let mut ledger = Ledger::new(&mut late);
        let large = vec![0; 2 * MAX_IN_FLIGHT_BYTES];
        let (asked, _outcome) = request(1, &large);
        let (number, _) = ledger.admit(asked).unwrap();
        assert!(!ledger.has_room(64));
        ledger.settle(number, &Ok(()));
        assert!(ledger.has_room(64) && !ledger.has_room(0));
    }

    #[test]
    fn late_confirms_are_bounded() {
        let mut late = LateConfirms::default();
        for number in 0..=MAX_LATE as u64 {
            late.put((BatchId([0; 16]), number));
        }
        assert_eq!((late.known.len(), late.order.len()), (MAX_LATE, MAX_LATE));
        assert!(!late.take((BatchId([0; 16]), 0)) && late.take((BatchId([0; 16]), 1)));
    }
}
